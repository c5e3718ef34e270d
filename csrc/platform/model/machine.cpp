#include "machine.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "memory.h"

namespace gpukern::model {
namespace {

constexpr size_t kStack = 128 << 10, kPage = 4096, kSharedAlignment = 1024, kStatic = 48 << 10;

// Memory with an unmapped page before it and one behind it.
struct Region {
  char* map = nullptr;
  size_t mapped = 0;

  char* reserve(size_t bytes) {
    const size_t wanted = (bytes + kPage - 1) / kPage * kPage + 2 * kPage;
    if (mapped < wanted) {
      release();
      map = static_cast<char*>(
          mmap(nullptr, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
      if (map == MAP_FAILED) std::abort();
      mapped = wanted;
      mprotect(map, kPage, PROT_NONE);
      mprotect(map + mapped - kPage, kPage, PROT_NONE);
    }
    return map + kPage;
  }
  const char* end() const { return map + mapped - kPage; }
  void release() {
    if (mapped) munmap(map, mapped);
    mapped = 0;
  }
  ~Region() { release(); }
};

std::string name_of(const void* function) {
  Dl_info info;
  if (!dladdr(function, &info) || !info.dli_sname) return "a kernel";
  char* readable = abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, nullptr);
  std::string name = readable ? readable : info.dli_sname;
  std::free(readable);
  for (const char* noise : {"gpukern::", "elementwise::", "common::", "void "})
    for (size_t at; (at = name.find(noise)) != std::string::npos;) name.erase(at, std::strlen(noise));
  return name.substr(0, name.rfind('('));
}

std::string text_of(const Place& p) {
  const char* slash = std::strrchr(p.file, '/');
  return std::string(p.word) + " at " + (slash ? slash + 1 : p.file) + ":" + std::to_string(p.line);
}

struct Machine {
  const void* kernel = nullptr;
  dim3 grid, block_dim;
  const std::function<void()>* thread = nullptr;
  Settings settings;
  Report report;
  std::vector<Block> blocks;  // of the cluster that runs
  std::vector<Region> shared;
  Region stacks;
  Fiber scheduler;
  Thread* current = nullptr;
  std::vector<Thread*> ready;
  std::vector<std::function<void()>> pending;
  std::vector<uint32_t> priority;  // a warp each, and the asynchronous work last; the smallest runs first
  std::map<const void*, std::unique_ptr<Part>> parts;  // of the cluster that runs
  uint32_t state = 1;
  std::string error;
  Known learner, lesson, learnt;  // the last acquire: what was known, what came to it, the two together
  int live = 0;

  uint32_t random() {  // xorshift (Marsaglia 2003)
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
  }
  void leave() { Fiber::swap(current->fiber, scheduler); }
  bool shuffled() const { return settings.order == Order::random || settings.order == Order::pct; }

  void run_cluster(uint64_t first_block, size_t bytes);
  void start(Block& block, uint32_t first_id, char* stacks_at);
  Thread* pick();
  bool pending_goes_first();
  void run_pending();
  void describe_deadlock();
};

constinit thread_local Machine* machine __attribute__((tls_model("initial-exec"))) = nullptr;  // as `window` is

// What a thread of the host has besides (see Kept in memory.cpp).
struct Host {
  Settings settings;
  Report report;
  std::string error;
};
Host& host() {
  static thread_local const std::unique_ptr<Host> own(new Host);
  return *own;
}

struct Stop {};  // thrown to the scheduler by a failure outside any thread

void thread_entry() {
  (*machine->thread)();
  Thread& me = *machine->current;
  Block& block = *me.block;
  for (const auto& [id, b] : block.barriers)
    if (b.arrived && b.expected < 0)
      fail(b.first, "thread %d ends while %d threads wait here for the whole block", me.number, b.arrived);
  for (const Copy& c : me.open_group) fail(c.at, "the thread ends before it has waited for this copy");
  for (const auto& group : me.copy_groups)
    for (const Copy& c : group) fail(c.at, "the thread ends before it has waited for this copy");
  for (const auto& entry : machine->parts) entry.second->thread_ends(me);
  me.done = true;
  --block.live;
  --machine->live;
  machine->leave();
  std::abort();  // nobody resumes a thread that is done
}

Thread* Machine::pick() {
  size_t at = 0;
  if (settings.order == Order::lifo) at = ready.size() - 1;
  if (settings.order == Order::random) at = random() % ready.size();
  if (settings.order == Order::pct) {
    if (random() % 64 == 0) priority[random() % priority.size()] = random();
    uint32_t lowest = ~0u;
    for (size_t i = 0; i < ready.size(); ++i)
      if (const uint32_t its = priority[ready[i]->warp]; its < lowest) {
        lowest = its;
        at = i;
      }
  }
  Thread* const t = ready[at];
  ready.erase(ready.begin() + static_cast<ptrdiff_t>(at));
  return t;
}

// Asynchronous work happens at once (fifo), at the last moment (lifo), or whenever.
bool Machine::pending_goes_first() {
  if (pending.empty()) return false;
  if (ready.empty() || settings.order == Order::fifo) return true;
  if (settings.order == Order::lifo) return false;
  if (settings.order == Order::random) return random() % 8 == 0;
  for (const Thread* t : ready)
    if (priority[t->warp] < priority.back()) return false;
  return true;
}

void Machine::run_pending() {
  const size_t at = shuffled() ? random() % pending.size() : 0;
  const std::function<void()> act = std::move(pending[at]);
  pending.erase(pending.begin() + static_cast<ptrdiff_t>(at));
  current = nullptr;
  try {
    act();
  } catch (const Stop&) {
  }
}

void Machine::describe_deadlock() {
  bool goes_on = false;
  for (const auto& entry : parts) goes_on |= entry.second->time_passes();
  if (goes_on) return;
  std::map<std::string, std::pair<int, const Thread*>> waiting;  // where -> how many, and one of them
  for (const Block& block : blocks)
    for (const Thread& t : block.threads)
      if (!t.done) {
        auto& entry = waiting[text_of(t.at)];
        if (entry.first++ == 0) entry.second = &t;
      }
  const dim3& b = blocks[0].index;
  error = name_of(kernel) + ": deadlock in block (" + std::to_string(b.x) + "," + std::to_string(b.y) + "," +
          std::to_string(b.z) + "):";
  for (const auto& [where, who] : waiting)
    error += " " + std::to_string(who.first) + " threads (" + std::to_string(who.second->number) + " ..) wait in " +
             where + ";";
  error.pop_back();
  for (const auto& entry : parts) error += entry.second->deadlock();
}

void Machine::start(Block& block, uint32_t first_id, char* stacks_at) {
  const int count = static_cast<int>(block_dim.count());
  block.live = count;
  block.barriers.clear();
  block.warps.assign((count + settings.wave - 1) / settings.wave, Warp());
  block.threads.clear();
  block.threads.resize(count);
  for (int t = 0; t < count; ++t) {
    Thread& thread_ = block.threads[t];
    thread_.block = &block;
    thread_.number = t;
    thread_.id = first_id + t;
    thread_.warp = thread_.id / settings.wave;
    thread_.index = dim3(t % block_dim.x, t / block_dim.x % block_dim.y, t / (block_dim.x * block_dim.y));
    thread_.fiber.start(stacks_at + t * kStack, kStack, &thread_entry);
    wake(thread_);
  }
}

void Machine::run_cluster(uint64_t first_block, size_t bytes) {
  const size_t count = block_dim.count();
  ready.clear();
  pending.clear();
  parts.clear();
  state = settings.seed * 2654435761u + static_cast<uint32_t>(first_block) * 40503u;
  if (state == 0) state = 1;
  live = static_cast<int>(count * blocks.size());
  priority.resize((count * blocks.size() + settings.wave - 1) / settings.wave + 1);
  for (uint32_t& p : priority) p = random();
  char* const base = stacks.reserve(count * blocks.size() * kStack);
  for (size_t rank = 0; rank < blocks.size(); ++rank) {
    Block& block = blocks[rank];
    const uint64_t i = first_block + rank;
    block.index = dim3(i % grid.x, i / grid.x % grid.y, static_cast<unsigned>(i / grid.x / grid.y));
    block.rank = static_cast<int>(rank);
    block.shared_bytes = (bytes + 15) / 16 * 16;
    block.statics.clear();
    char* const room = shared[rank].reserve(block.shared_bytes + kSharedAlignment + kStatic);
    block.shared = room + (kSharedAlignment - reinterpret_cast<uintptr_t>(room) % kSharedAlignment) % kSharedAlignment;
    block.shared_room = shared[rank].end() - block.shared;
    std::memset(block.shared, 0xff, block.shared_bytes);  // poison: a NaN in every floating type
    start(block, static_cast<uint32_t>(rank * count), base + rank * count * kStack);
  }
  start_block_memory();
  window = {false, base, base + count * blocks.size() * kStack};
  while (live && error.empty()) {
    if (pending_goes_first()) {
      run_pending();
      continue;
    }
    if (ready.empty()) {
      describe_deadlock();
      continue;
    }
    current = pick();
    current->queued = false;
    ++report.switches;
    window.watching = true;
    Fiber::swap(scheduler, current->fiber);
    window.watching = false;
  }
  if (error.empty() && !pending.empty())
    error = name_of(kernel) + ": the block ends with " + std::to_string(pending.size()) +
            " asynchronous operations under way";
  current = nullptr;
  try {
    if (error.empty())
      for (const auto& entry : parts) entry.second->cluster_ends();
  } catch (const Stop&) {
  }
  parts.clear();
  end_block_memory();
  report.blocks += blocks.size();
  report.threads += count * blocks.size();
}

// A wild address faults on the fiber that used it, which becomes the failure of its launch.
void on_fault(int, siginfo_t* info, void* context) {
  if (!machine || !machine->current) {
    std::signal(SIGSEGV, SIG_DFL);
    return;
  }
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGSEGV);
  sigaddset(&set, SIGBUS);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  std::string line = "an unknown line";
#if defined(__x86_64__)
  line = line_of(reinterpret_cast<const void*>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]));
#else
  (void)context;
#endif
  fail({}, "a wild access to %p, at %s", info->si_addr, line.c_str());
}

class Faults {
 public:
  Faults() {
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, &before_);
    sigaction(SIGBUS, &action, &before_bus_);
  }
  ~Faults() {
    sigaction(SIGSEGV, &before_, nullptr);
    sigaction(SIGBUS, &before_bus_, nullptr);
  }

 private:
  struct sigaction before_ = {}, before_bus_ = {};
};

}  // namespace

bool running() { return machine && machine->current; }
Thread& self() { return *machine->current; }
Block& block_of(int rank) { return machine->blocks[rank]; }
int cluster_size() { return static_cast<int>(machine->blocks.size()); }
const dim3& block_dim() { return machine->block_dim; }
const dim3& grid_dim() { return machine->grid; }
const Settings& running_settings() { return machine->settings; }
uint32_t random() { return machine->random(); }

void wake(Thread& t) {
  if (t.done || t.queued) return;
  t.queued = true;
  machine->ready.push_back(&t);
}
void wait(Place at) {
  machine->current->at = at;
  machine->leave();
}
void yield() {
  if (!machine->shuffled()) return;
  wake(*machine->current);
  machine->leave();
}
std::unique_ptr<Part>& part_at(const void* key) { return machine->parts[key]; }
void later(std::function<void()> act) { machine->pending.push_back(std::move(act)); }

void release(Gathered& into) {
  Thread& me = self();
  into.add(me.known, me.id, me.own++);
}
void acquire(const Known& known) {
  Thread& me = self();
  if (!me.known) {
    me.known = known;
  } else if (me.known != known) {
    // The threads of a warp mostly learn the same, on top of the same.
    Machine& m = *machine;
    if (m.learner != me.known || m.lesson != known) {
      auto both = std::make_shared<Clock>(*me.known);
      join(*both, *known);
      m.learner = me.known;
      m.lesson = known;
      m.learnt = std::move(both);
    }
    me.known = m.learnt;
  }
}

void fail(Place at, const char* format, ...) {
  char sentence[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(sentence, sizeof sentence, format, arguments);
  va_end(arguments);
  std::string who = "an asynchronous operation";
  if (const Thread* t = machine->current) {
    const dim3& b = t->block->index;
    char text[160];
    std::snprintf(text, sizeof text, "block (%u,%u,%u) thread %d (warp %d, lane %d)", b.x, b.y, b.z, t->number,
                  t->number / wave(), t->number % wave());
    who = text;
  }
  if (machine->error.empty())
    machine->error = name_of(machine->kernel) + ": " + who + ": " + sentence + (at.word ? "; " + text_of(at) : "");
  if (!machine->current) throw Stop{};
  machine->leave();
  std::abort();
}

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

std::string run(const void* kernel, dim3 grid, dim3 block, size_t shared, const std::function<void()>& thread,
                dim3 cluster) {
  const std::string shape =
      "(" + std::to_string(grid.x) + "," + std::to_string(grid.y) + "," + std::to_string(grid.z) + ")";
  if (grid.count() == 0 || block.count() == 0 || block.count() > 1024 || grid.x > 2147483647u || grid.y > 65535 ||
      grid.z > 65535)
    return name_of(kernel) + ": no device launches a grid of " + shape + " with blocks of " +
           std::to_string(block.count());
  if (cluster.y != 1 || cluster.z != 1 || cluster.x == 0 || cluster.x > 16 || grid.x % cluster.x)
    return name_of(kernel) + ": clusters of " + std::to_string(cluster.count()) + " do not divide a grid of " + shape;
  Machine m;
  m.kernel = kernel;
  m.grid = grid;
  m.block_dim = block;
  m.thread = &thread;
  m.settings = host().settings;
  m.blocks = std::vector<Block>(cluster.x);
  m.shared = std::vector<Region>(cluster.x);
  machine = &m;
  const Faults faults;
  start_memory();
  for (uint64_t i = 0; i < grid.count() && m.error.empty(); i += cluster.x) m.run_cluster(i, shared);
  end_memory();
  machine = nullptr;
  host().report.blocks += m.report.blocks;
  host().report.threads += m.report.threads;
  host().report.barriers += m.report.barriers;
  host().report.collectives += m.report.collectives;
  host().report.switches += m.report.switches;
  return m.error;
}

Settings& settings() { return host().settings; }
Report& report() { return host().report; }
std::string& last_error() { return host().error; }

}  // namespace gpukern::model
