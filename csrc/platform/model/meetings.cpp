// Where threads synchronise: the barriers of a block, the lanes of a warp.
#include <cstring>

#include "agents.h"
#include "scheduler.h"

namespace gpukern::model {

void barrier(int id, int expected, bool wait_here, Place at) {
  ++machine->report.barriers;
  Thread& me = self();
  Barrier& b = me.block->barriers[id];
  if (b.arrived == 0) {
    b.expected = expected;
    b.first = at;
  } else if (b.expected != expected) {
    fail(at, "barrier %d is for %d threads here and for %d at line %d", id, expected, b.expected, b.first.line);
  } else if (expected < 0 && (b.first.line != at.line || std::strcmp(b.first.file, at.file) != 0)) {
    fail(at, "the block's threads meet at two different barriers, here and at line %d", b.first.line);
  }
  if (expected >= 0 && (expected == 0 || expected % wave()))
    fail(at, "barrier %d is for %d threads, which are not whole warps", id, expected);
  ++b.arrived;
  release(b.gathered);
  const int all = expected < 0 ? static_cast<int>(me.block->threads.size()) : expected;
  if (b.arrived == all) {
    const Known known = b.gathered.take();
    const std::vector<Thread*> waiting = std::move(b.waiting);
    b = Barrier();
    for (Thread* t : waiting) {
      t->known = known;  // it knew no more when it arrived
      wake(*t);
    }
    if (wait_here) acquire(known);
    yield();
    return;
  }
  if (!wait_here) return;
  b.waiting.push_back(&me);
  wait(at);
}

void collective(uint64_t mask, void* argument, Place at, const std::function<void(void* const*)>& act, bool orders) {
  ++machine->report.collectives;
  Thread& me = self();
  const int lanes = wave(), lane = me.number % lanes, first = me.number - lane;
  if (!(mask >> lane & 1)) fail(at, "the calling lane is not in the mask %llx", static_cast<unsigned long long>(mask));
  Warp& warp = me.block->warps[me.number / lanes];
  Meeting* meeting = nullptr;
  for (Meeting& m : warp.meetings) {
    if (!m.arrived || !(m.mask & mask)) continue;
    if (m.mask != mask || std::strcmp(m.at.word, at.word) != 0)
      fail(at, "other lanes of the mask %llx wait in %s with mask %llx", static_cast<unsigned long long>(mask),
           text_of(m.at).c_str(), static_cast<unsigned long long>(m.mask));
    meeting = &m;
  }
  if (!meeting) {
    for (Meeting& m : warp.meetings)
      if (!m.arrived) meeting = &m;
    if (!meeting) fail(at, "more than four collectives of one warp are under way");
    meeting->mask = mask;
    meeting->at = at;
  }
  meeting->argument[lane] = argument;
  meeting->arrived |= uint64_t{1} << lane;
  if (orders) release(meeting->gathered);
  if (meeting->arrived != mask) {
    wait(at);
    return;
  }
  act(meeting->argument);
  meeting->arrived = 0;
  const Known known = orders ? meeting->gathered.take() : nullptr;
  for (int l = 0; l < lanes; ++l) {
    if (!(mask >> l & 1)) continue;
    Thread& t = me.block->threads[first + l];
    if (orders) t.known = known;
    if (l != lane) wake(t);
  }
  yield();
}

}  // namespace gpukern::model
