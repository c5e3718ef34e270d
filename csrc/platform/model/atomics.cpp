// Atomic operations.  They are checked as accesses that race with plain ones only; they order nothing, as on a device.
#include <cstring>

#include "memory.h"
#include "words.h"

namespace gpukern::model {
namespace {

template <class T> T applied(Atomic op, T old, T value, T compare) {
  switch (op) {
    case Atomic::add:
      if constexpr (std::is_same_v<T, int>)
        return static_cast<int>(static_cast<unsigned>(old) + static_cast<unsigned>(value));  // wraps
      else return static_cast<T>(old + value);
    case Atomic::max: return old < value ? value : old;
    case Atomic::min: return value < old ? value : old;
    case Atomic::exchange: return value;
    case Atomic::cas: break;
  }
  return old == compare ? value : old;
}

}  // namespace

template <class T> T atomic(Atomic op, T* p, T value, T compare, Place at) {
  check_alignment(p, sizeof(T), at);
  access(p, sizeof(T), Kind::atomic, at);
  T old;
  std::memcpy(&old, static_cast<const void*>(p), sizeof old);
  const T now = applied(op, old, value, compare);
  std::memcpy(static_cast<void*>(p), &now, sizeof now);
  yield();
  return old;
}
template int atomic(Atomic, int*, int, int, Place);
template unsigned atomic(Atomic, unsigned*, unsigned, unsigned, Place);
template unsigned long long atomic(Atomic, unsigned long long*, unsigned long long, unsigned long long, Place);
template float atomic(Atomic, float*, float, float, Place);
template double atomic(Atomic, double*, double, double, Place);

}  // namespace gpukern::model
