#include "mbarrier.h"

#include <map>

#include "cluster.h"

namespace gpukern::model {
namespace {

constexpr uint32_t kMagic = 0x6d626172;  // stored in a barrier's memory with its address, as an opaque value
constexpr int64_t kMostBytes = (1 << 20) - 1;
constexpr int kPatience = 64;         // consecutive tries after which a loop around try_wait counts as a wait
constexpr uint32_t kLong = 1u << 20;  // longer than any bound of a wait (../waits.h)

struct Waiting {
  Thread* thread;
  uint32_t parity;
  Known* known;
  bool* late;  // for a wait with a bound: set if it ends before its phase is complete
};
struct Mbarrier {
  uint32_t count = 0, pending = 0;
  int64_t bytes = 0;
  uint64_t phase = 0;
  Place init{};
  uint32_t init_thread = 0, init_clock = 0;
  bool fenced = false;
  uint64_t fenced_phase = 0;  // the phase of the cluster's barrier at the fence
  Gathered gathered;
  Known completed;  // the knowledge that the previous phase gives
  std::vector<Waiting> waiting;

  bool complete(uint32_t parity) const { return (phase & 1) != parity; }
};

std::string name_of_barrier(uint32_t address) {
  char text[80];
  std::snprintf(text, sizeof text, "the mbarrier at offset %zu of block %u's shared memory", shared_offset(address),
                address >> 24);
  return text;
}

struct Mbarriers : Part {
  std::map<uint32_t, Mbarrier> all;
  std::map<std::pair<uint32_t, uint32_t>, int> tries;  // (thread, barrier) -> consecutive tries
  uint32_t clock = 0;

  Mbarrier& find(uint32_t address, const Agent& agent, Place at) {
    uint32_t words[2];
    std::memcpy(words, shared_pointer(address, 8, 8, at), 8);
    const auto found = all.find(address);
    if (found == all.end()) fail(at, "%s is not initialised", name_of_barrier(address).c_str());
    if (words[0] != kMagic || words[1] != address)
      fail(at, "%s was overwritten with other data", name_of_barrier(address).c_str());
    Mbarrier& m = found->second;
    // The fence itself releases: the arrival at the cluster's barrier after it may be relaxed.
    const Thread* const me = running() ? &self() : nullptr;
    const bool told = m.fenced && me && part<Cluster>().phases_met(*me) > m.fenced_phase;
    if (!told && !happened(m.init_thread, m.init_clock, agent))
      fail(at, "%s was initialised (%s) with no barrier between", name_of_barrier(address).c_str(),
           text_of(m.init).c_str());
    return m;
  }

  void step(uint32_t address, Mbarrier& m, Place at) {
    if (m.pending) return;
    if (m.bytes < 0)
      fail(at, "%lld bytes more than were expected arrive on %s", static_cast<long long>(-m.bytes),
           name_of_barrier(address).c_str());
    if (m.bytes) return;
    ++m.phase;
    m.pending = m.count;
    m.completed = m.gathered.take();
    std::vector<Waiting> still;
    for (const Waiting& w : m.waiting) {
      if (!m.complete(w.parity)) {
        still.push_back(w);
        continue;
      }
      *w.known = m.completed;
      wake(*w.thread);
    }
    m.waiting = std::move(still);
  }

  void expect(uint32_t address, Mbarrier& m, int64_t bytes, Place at) {
    m.bytes += bytes;
    if (m.bytes > kMostBytes || m.bytes < -kMostBytes)
      fail(at, "%s counts no more than %lld bytes", name_of_barrier(address).c_str(),
           static_cast<long long>(kMostBytes));
  }

  // A barrier that still expects bytes at the end was set up wrongly.
  void cluster_ends() override {
    for (const auto& [address, m] : all)
      if (m.bytes)
        fail(m.init, "%s ends with %lld bytes expected that never came", name_of_barrier(address).c_str(),
             static_cast<long long>(m.bytes));
  }

  bool time_passes() override {
    std::vector<Waiting> ended;
    for (auto& [address, m] : all)
      std::erase_if(m.waiting, [&](const Waiting& w) {
        if (w.late) ended.push_back(w);
        return w.late != nullptr;
      });
    if (ended.empty()) return false;
    clock += kLong;
    for (const Waiting& w : ended) {
      *w.late = true;
      wake(*w.thread);
    }
    return true;
  }

  std::string deadlock() override {
    std::string text;
    for (const auto& [address, m] : all)
      if (!m.waiting.empty())
        text += "; " + name_of_barrier(address) + " is in phase " + std::to_string(m.phase) + " and lacks " +
                std::to_string(m.pending) + " of " + std::to_string(m.count) + " arrivals and " +
                std::to_string(m.bytes) + " bytes";
    return text;
  }
};

void check_own(uint32_t address, Place at) {
  if (static_cast<int>(address >> 24) != self().block->rank)
    fail(at, "this primitive takes a barrier of its own block, not %s", name_of_barrier(address).c_str());
}

}  // namespace

uint32_t own_shared_address(const void* pointer, Place at) {
  const uint32_t address = shared_address(pointer, at);
  if (static_cast<int>(address >> 24) != self().block->rank) fail(at, "%p is another block's shared memory", pointer);
  return address;
}

void mbarrier_init(uint32_t address, uint32_t count, Place at) {
  check_own(address, at);
  if (count < 1 || count >= 1u << 20) fail(at, "a count of %u; an mbarrier takes 1 to 2^20 - 1", count);
  char* const p = shared_pointer(address, 8, 8, at);
  Mbarriers& barriers = part<Mbarriers>();
  if (barriers.all.count(address)) fail(at, "%s is initialised already", name_of_barrier(address).c_str());
  access(p, 8, true, __builtin_return_address(0));
  const uint32_t words[2] = {kMagic, address};
  std::memcpy(p, words, 8);
  Mbarrier& m = barriers.all[address];
  m.count = m.pending = count;
  m.init = at;
  m.init_thread = self().id;
  m.init_clock = self().own;
}

void mbarrier_inval(uint32_t address, Place at) {
  check_own(address, at);
  Mbarriers& barriers = part<Mbarriers>();
  Mbarrier& m = barriers.find(address, agent_of(self()), at);
  if (!m.waiting.empty()) fail(at, "threads wait on %s", name_of_barrier(address).c_str());
  barriers.all.erase(address);
  char* const p = shared_pointer(address, 8, 8, at);
  access(p, 8, true, __builtin_return_address(0));
  std::memset(p, 0xff, 8);
}

void mbarrier_arrive(uint32_t address, uint32_t arrivals, uint32_t bytes, bool remote, Place at) {
  if (!remote) check_own(address, at);
  Thread& me = self();
  Block& block = shared_block(address, at);
  if (&block != me.block) part<Cluster>().reaches(block, me.id, me.own, at);
  Mbarriers& barriers = part<Mbarriers>();
  Mbarrier& m = barriers.find(address, agent_of(me), at);
  if (&block != me.block && !m.fenced)
    fail(at, "%s is used by another block, and no fence_mbarrier_init follows its initialisation",
         name_of_barrier(address).c_str());
  if (m.pending < arrivals)
    fail(at, "an arrival too many: %s has had all %u of this phase", name_of_barrier(address).c_str(), m.count);
  barriers.expect(address, m, bytes, at);
  if (arrivals) release(m.gathered);
  m.pending -= arrivals;
  barriers.step(address, m, at);
  yield();
}

namespace {

Mbarrier& waited_for(uint32_t address, uint32_t parity, Place at) {
  check_own(address, at);
  if (parity > 1) fail(at, "a parity of %u; it is 0 or 1", parity);
  return part<Mbarriers>().find(address, agent_of(self()), at);
}

}  // namespace

namespace {

// Whether the phase is complete; a wait without a bound ends only when it is.
bool wait_for(uint32_t address, uint32_t parity, bool bounded, Place at) {
  Mbarrier& m = waited_for(address, parity, at);
  Known known = m.completed;
  bool late = false;
  if (!m.complete(parity)) {
    m.waiting.push_back({&self(), parity, &known, bounded ? &late : nullptr});
    at.word = part<Agents>().word(std::string(at.word) + " (parity " + std::to_string(parity) + ", " +
                                  name_of_barrier(address) + ")");
    wait(at);
  } else {
    yield();
  }
  if (late) return false;
  if (known) acquire(known);
  return true;
}

}  // namespace

void mbarrier_wait(uint32_t address, uint32_t parity, Place at) { wait_for(address, parity, false, at); }

uint32_t ticks() { return part<Mbarriers>().clock; }

bool mbarrier_try_wait(uint32_t address, uint32_t parity, bool bounded, Place at) {
  Mbarrier& m = waited_for(address, parity, at);
  int& tries = part<Mbarriers>().tries[{self().id, address}];
  if (!m.complete(parity) && ++tries < kPatience) {
    wake(self());  // lets other threads run first
    wait(at);
    if (!m.complete(parity)) return false;
  }
  tries = 0;
  return wait_for(address, parity, bounded, at);
}

void check_completes(uint32_t address, const Agent& issuer, Place at) {
  const Mbarrier& m = part<Mbarriers>().find(address, issuer, at);
  if (!m.fenced)
    fail(at, "%s is used by the async proxy, and no fence_mbarrier_init follows its initialisation",
         name_of_barrier(address).c_str());
}

void complete_bytes(uint32_t address, uint32_t bytes, const Agent& copy, Place at) {
  Mbarriers& barriers = part<Mbarriers>();
  const auto found = barriers.all.find(address);
  if (found == barriers.all.end()) fail(at, "a copy is complete, and %s is no more", name_of_barrier(address).c_str());
  Mbarrier& m = found->second;
  barriers.expect(address, m, -static_cast<int64_t>(bytes), at);
  m.gathered.add(nullptr, copy.id, copy.own);
  barriers.step(address, m, at);
}

void fence_mbarrier_init(Place) {
  for (auto& [address, m] : part<Mbarriers>().all)
    if (m.init_thread == self().id && !m.fenced) {
      m.fenced = true;
      m.fenced_phase = part<Cluster>().phase();
    }
}

void fence_proxy_async() {
  Thread& me = self();
  const uint32_t threads = first_agent() / 2;
  Clock known = me.known ? *me.known : Clock();
  if (known.size() < 2 * threads) known.resize(2 * threads, 0);
  known[me.id] = std::max(known[me.id], me.own);
  for (uint32_t t = 0; t < threads; ++t) known[fenced_id(t)] = std::max(known[fenced_id(t)], known[t]);
  ++me.own;  // what it writes from here on is not fenced
  me.known = std::make_shared<const Clock>(std::move(known));
  fence_mbarrier_init({});
}

}  // namespace gpukern::model
