// Wild addresses: a signal from an unmapped address becomes a failure of the launch.
#pragma once
#include <csignal>

namespace gpukern::model {

class WildAccesses {
 public:
  WildAccesses();
  ~WildAccesses();
  WildAccesses(const WildAccesses&) = delete;
  WildAccesses& operator=(const WildAccesses&) = delete;

 private:
  struct sigaction before_ = {}, before_bus_ = {};
};

}  // namespace gpukern::model
