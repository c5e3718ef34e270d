#include "machine.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <cxxabi.h>
#include <dlfcn.h>
#include <sys/mman.h>

namespace gpukern::model {
namespace {

constexpr size_t kStack = 128 << 10, kPage = 4096;

size_t pages(size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

// Memory with an unmapped page before it and one right behind its last byte.
struct Region {
  char* map = nullptr;
  size_t mapped = 0;

  char* reserve(size_t bytes) {  // the start of `bytes` that end at the unmapped page
    const size_t wanted = pages(bytes) + 2 * kPage;
    if (mapped < wanted) {
      release();
      map = static_cast<char*>(
          mmap(nullptr, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
      if (map == MAP_FAILED) std::abort();
      mapped = wanted;
      mprotect(map, kPage, PROT_NONE);
      mprotect(map + mapped - kPage, kPage, PROT_NONE);
    }
    return map + mapped - kPage - bytes;
  }
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
    for (size_t at; (at = name.find(noise)) != name.npos;) name.erase(at, std::strlen(noise));
  const size_t arguments = name.rfind('(');
  return name.substr(0, arguments);
}

struct Machine {
  const void* kernel = nullptr;
  dim3 grid, block_dim;
  const std::function<void()>* thread = nullptr;
  Settings settings;
  Report report;
  Block block;
  Fiber scheduler;
  Thread* current = nullptr;
  std::vector<int> ready;
  std::vector<uint32_t> priority;  // a warp each; the smallest runs first
  uint32_t state = 1;
  std::string error;
  Region stacks, shared;

  uint32_t random() {  // xorshift (Marsaglia 2003)
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
  }
  void wake(int number) {
    Thread& t = block.threads[number];
    if (t.done || t.queued) return;
    t.queued = true;
    ready.push_back(number);
  }
  void leave() { Fiber::swap(current->fiber, scheduler); }
  void wait(Place at) {
    current->at = at;
    leave();
  }
  bool shuffled() const { return settings.order == Order::random || settings.order == Order::pct; }
  // Lets others overtake, where the order is a random one.
  void yield() {
    if (!shuffled()) return;
    wake(current->number);
    leave();
  }

  void run_block(dim3 index, size_t bytes, uint64_t number);
  int pick();
  void describe_deadlock();
};

thread_local Machine* machine = nullptr;
thread_local Settings host_settings;
thread_local Report host_report;
thread_local std::string host_error;

void release_barrier(Barrier& b) {
  const std::vector<int> waiting = std::move(b.waiting);
  b = Barrier{};
  for (const int t : waiting) machine->wake(t);
}

void thread_entry() {
  (*machine->thread)();
  Thread& me = *machine->current;
  Block& block = *me.block;
  for (const auto& [id, b] : block.barriers)
    if (b.arrived && b.expected < 0)
      fail(b.first, "thread %d ends while %d threads wait here for the whole block", me.number, b.arrived);
  me.done = true;
  --block.live;
  machine->leave();
  std::abort();  // nobody resumes a thread that is done
}

int Machine::pick() {
  size_t at = 0;
  if (settings.order == Order::lifo) at = ready.size() - 1;
  if (settings.order == Order::random) at = random() % ready.size();
  if (settings.order == Order::pct) {
    if (random() % 64 == 0) priority[random() % priority.size()] = random();
    uint32_t lowest = ~0u;
    for (size_t i = 0; i < ready.size(); ++i) {
      const uint32_t p = priority[ready[i] / settings.wave];
      if (p < lowest) {
        lowest = p;
        at = i;
      }
    }
  }
  const int number = ready[at];
  ready.erase(ready.begin() + static_cast<ptrdiff_t>(at));
  return number;
}

std::string text_of(const Place& p) {
  const char* slash = std::strrchr(p.file, '/');
  return std::string(p.word) + " at " + (slash ? slash + 1 : p.file) + ":" + std::to_string(p.line);
}

void Machine::describe_deadlock() {
  std::map<std::string, std::pair<int, int>> waiting;  // where -> how many, and one of them
  for (const Thread& t : block.threads)
    if (!t.done) {
      auto& entry = waiting[text_of(t.at)];
      if (entry.first++ == 0) entry.second = t.number;
    }
  error = name_of(kernel) + ": deadlock in block (" + std::to_string(block.index.x) + "," +
          std::to_string(block.index.y) + "," + std::to_string(block.index.z) + "):";
  for (const auto& [where, who] : waiting)
    error +=
        " " + std::to_string(who.first) + " threads (" + std::to_string(who.second) + " ..) wait in " + where + ";";
  error.pop_back();
}

void Machine::run_block(dim3 index, size_t bytes, uint64_t number) {
  const int count = static_cast<int>(block_dim.count());
  block.index = index;
  block.live = count;
  block.barriers.clear();
  block.warps.assign((count + settings.wave - 1) / settings.wave, Warp{});
  block.threads.assign(count, Thread{});
  // 16-byte aligned from the front and ending at the unmapped page, as far as both are possible.
  block.shared_bytes = (bytes + 15) / 16 * 16;
  block.shared = shared.reserve(block.shared_bytes);
  std::memset(block.shared, 0xff, block.shared_bytes);  // poison: a NaN in every floating type
  ready.clear();
  state = settings.seed * 2654435761u + static_cast<uint32_t>(number) * 40503u;
  if (state == 0) state = 1;
  priority.resize(block.warps.size());
  for (uint32_t& p : priority) p = random();
  char* const base = stacks.reserve(count * kStack);
  for (int t = 0; t < count; ++t) {
    Thread& thread_ = block.threads[t];
    thread_.block = &block;
    thread_.number = t;
    thread_.index = dim3(t % block_dim.x, t / block_dim.x % block_dim.y, t / (block_dim.x * block_dim.y));
    thread_.fiber.start(base + t * kStack, kStack, &thread_entry);
    wake(t);
  }
  while (block.live && error.empty()) {
    if (ready.empty()) {
      describe_deadlock();
      break;
    }
    current = &block.threads[pick()];
    current->queued = false;
    ++report.switches;
    Fiber::swap(scheduler, current->fiber);
  }
  ++report.blocks;
  report.threads += count;
}

// A wild address faults on the fiber that used it, which becomes the failure of its launch.
void on_fault(int, siginfo_t* info, void*) {
  if (!machine || !machine->current) {
    std::signal(SIGSEGV, SIG_DFL);
    return;
  }
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGSEGV);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  const Block& block = machine->block;
  const char* address = static_cast<const char*>(info->si_addr);
  const bool shared =
      address >= block.shared + block.shared_bytes && address < block.shared + block.shared_bytes + kPage;
  fail(machine->current->at, "%s out of bounds: address %p%s", shared ? "shared memory" : "memory", info->si_addr,
       shared ? " lies behind the bytes that were asked for" : "");
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

Thread& self() { return *machine->current; }
const dim3& block_dim() { return machine->block_dim; }
const dim3& grid_dim() { return machine->grid; }
int wave() { return machine->settings.wave; }

void fail(Place at, const char* format, ...) {
  char sentence[768];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(sentence, sizeof sentence, format, arguments);
  va_end(arguments);
  const Thread& t = *machine->current;
  const dim3& b = t.block->index;
  char where[160];
  std::snprintf(where, sizeof where, "block (%u,%u,%u) thread %d (warp %d, lane %d)", b.x, b.y, b.z, t.number,
                t.number / machine->settings.wave, t.number % machine->settings.wave);
  if (machine->error.empty())
    machine->error = name_of(machine->kernel) + ": " + where + ": " + sentence +
                     (at.word ? std::string("; ") + text_of(at) : std::string());
  machine->leave();
  std::abort();
}

void barrier(int id, int expected, bool wait, Place at) {
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
  if (expected >= 0 && (expected == 0 || expected % machine->settings.wave))
    fail(at, "barrier %d is for %d threads, which are not whole warps", id, expected);
  ++b.arrived;
  const int all = expected < 0 ? static_cast<int>(me.block->threads.size()) : expected;
  if (b.arrived > all) fail(at, "%d threads arrive at barrier %d, which is for %d", b.arrived, id, all);
  if (b.arrived == all) {
    release_barrier(b);
    machine->yield();
    return;
  }
  if (!wait) return;
  b.waiting.push_back(me.number);
  machine->wait(at);
}

void collective(uint64_t mask, void* argument, Place at, const std::function<void(void* const*)>& act) {
  ++machine->report.collectives;
  Thread& me = self();
  const int lanes = machine->settings.wave, lane = me.number % lanes, first = me.number - lane;
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
  if (meeting->arrived != mask) {
    machine->wait(at);
    return;
  }
  act(meeting->argument);
  meeting->arrived = 0;
  for (int l = 0; l < lanes; ++l)
    if ((mask >> l & 1) && l != lane) machine->wake(first + l);
  machine->yield();
}

std::string run(const void* kernel, dim3 grid, dim3 block, size_t shared, const std::function<void()>& thread) {
  if (grid.count() == 0 || block.count() == 0 || block.count() > 1024 || grid.x > 2147483647u || grid.y > 65535 ||
      grid.z > 65535)
    return name_of(kernel) + ": no device launches a grid of (" + std::to_string(grid.x) + "," +
           std::to_string(grid.y) + "," + std::to_string(grid.z) + ") with blocks of " + std::to_string(block.count());
  Machine m;
  m.kernel = kernel;
  m.grid = grid;
  m.block_dim = block;
  m.thread = &thread;
  m.settings = host_settings;
  machine = &m;
  const Faults faults;
  for (uint64_t i = 0; i < grid.count() && m.error.empty(); ++i)
    m.run_block(dim3(i % grid.x, i / grid.x % grid.y, static_cast<unsigned>(i / grid.x / grid.y)), shared, i);
  machine = nullptr;
  host_report.blocks += m.report.blocks;
  host_report.threads += m.report.threads;
  host_report.barriers += m.report.barriers;
  host_report.collectives += m.report.collectives;
  host_report.switches += m.report.switches;
  return m.error;
}

Settings& settings() { return host_settings; }
Report& report() { return host_report; }
std::string& last_error() { return host_error; }

}  // namespace gpukern::model
