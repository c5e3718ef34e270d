// Launches of a stream, one after another or overlapping.
#include <utility>

#include "scheduler.h"
#include "wild.h"

namespace gpukern::model {
namespace {

// More state of a host thread (see Kept in memory.cpp).
struct Host {
  Settings settings;
  Report report;
  std::string error;
  bool holds = false;
  std::vector<std::unique_ptr<Machine>> held;
};
Host& host() {
  static thread_local const std::unique_ptr<Host> own(new Host);
  return *own;
}

// "" or why no device would launch it.
std::string refused(const Launch& l) {
  const dim3 &grid = l.grid, &cluster = l.cluster;
  const std::string shape =
      "(" + std::to_string(grid.x) + "," + std::to_string(grid.y) + "," + std::to_string(grid.z) + ")";
  if (grid.count() == 0 || l.block.count() == 0 || l.block.count() > 1024 || grid.x > 2147483647u || grid.y > 65535 ||
      grid.z > 65535)
    return name_of(l.kernel) + ": no device launches a grid of " + shape + " with blocks of " +
           std::to_string(l.block.count());
  if (cluster.y != 1 || cluster.z != 1 || cluster.x == 0 || cluster.x > 16 || grid.x % cluster.x)
    return name_of(l.kernel) + ": clusters of " + std::to_string(cluster.count()) + " do not divide a grid of " + shape;
  return "";
}

// Launches of one stream, in order.
std::string run_all(const std::vector<std::unique_ptr<Machine>>& stream) {
  const WildAccesses faults;
  for (size_t i = 0; i + 1 < stream.size(); ++i)
    if (stream[i + 1]->launch.overlaps) {
      stream[i]->next = stream[i + 1].get();
      stream[i + 1]->follows = true;
    }
  for (const std::unique_ptr<Machine>& m : stream) {
    {
      const Turn turn(*m);
      m->run();
    }
    Report& all = host().report;
    all.blocks += m->report.blocks;
    all.threads += m->report.threads;
    all.barriers += m->report.barriers;
    all.collectives += m->report.collectives;
    all.switches += m->report.switches;
    if (!m->error.empty()) return m->error;
    if (m->next) m->next->previous_has_ended();
  }
  return "";
}

}  // namespace

std::string run(Launch launch) {
  if (std::string why = refused(launch); !why.empty()) return why;
  std::vector<std::unique_ptr<Machine>> stream;
  Host& h = host();
  std::vector<std::unique_ptr<Machine>>& where = h.holds ? h.held : stream;
  where.push_back(std::make_unique<Machine>(std::move(launch), h.settings, remember()));
  return h.holds ? "" : run_all(stream);
}

void hold() { host().holds = true; }
std::string finish() {
  host().holds = false;
  return run_all(std::exchange(host().held, {}));
}

void wait_for_previous(Place at) {
  Thread& me = self();
  while (machine->follows) {
    machine->following.push_back(&me);
    wait(at);
  }
  me.follows = me.block->followed = true;
}
void let_next_start() { self().block->told = true; }
bool ahead_of_previous() { return machine->launch.overlaps && machine->current && !machine->current->follows; }

Settings& settings() { return host().settings; }
Report& report() { return host().report; }
std::string& last_error() { return host().error; }

}  // namespace gpukern::model
