#include "machine.h"

#include <cxxabi.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "scheduler.h"

namespace gpukern::model {
namespace {

constexpr size_t kStack = 128 << 10, kSharedAlignment = 1024, kStatic = 48 << 10;

}  // namespace

constinit thread_local Machine* machine __attribute__((tls_model("initial-exec"))) = nullptr;

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

namespace {

std::string text_of(const Place& p) {
  const char* slash = std::strrchr(p.file, '/');
  return std::string(p.word) + " at " + (slash ? slash + 1 : p.file) + ":" + std::to_string(p.line);
}

struct Stop {};  // thrown to the scheduler by a failure outside any thread

void thread_entry() {
  machine->launch.thread();
  Thread& me = *machine->current;
  Block& block = *me.block;
  for (const auto& [id, b] : block.barriers)
    if (b.arrived && b.expected < 0)
      fail(b.first, "thread %d ends while %d threads wait here for the whole block", me.number, b.arrived);
  for (const Copy& c : me.open_group) fail(c.at, "the thread ends before it has waited for this copy");
  for (const auto& group : me.copy_groups)
    for (const Copy& c : group) fail(c.at, "the thread ends before it has waited for this copy");
  for (const auto& entry : machine->parts) entry.second->thread_ends(me);
  if (machine->launch.overlaps && block.live == 1 && !block.followed)
    fail({},
         "the block ends, and none of its threads has called griddepcontrol_wait: the next launch, which may overlap "
         "this one, could start before the previous one has ended");
  me.done = true;
  --block.live;
  --machine->live;
  machine->leave();
  std::abort();  // not reached: a finished thread is never resumed
}

}  // namespace

inline Thread* Machine::pick() {
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

// Asynchronous work happens at once (fifo), at the last moment (lifo), or at any time.
inline bool Machine::pending_goes_first() {
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
  error = name_of(launch.kernel) + ": deadlock in block (" + std::to_string(b.x) + "," + std::to_string(b.y) + "," +
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

void Machine::begin_cluster() {
  const uint64_t first_block = next_block;
  const size_t bytes = launch.shared;
  if (!begun) start_memory();
  begun = true;
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
    block.followed = block.told = false;
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
}

inline __attribute__((always_inline)) bool Machine::step() {
  if (pending_goes_first()) {
    run_pending();
    return true;
  }
  if (ready.empty()) return false;
  current = pick();
  current->queued = false;
  ++report.switches;
  window.watching = true;
  Fiber::swap(scheduler, current->fiber);
  window.watching = false;
  current = nullptr;
  return true;
}

void Machine::end_cluster() {
  current = nullptr;
  try {
    if (error.empty())
      for (const auto& entry : parts) entry.second->cluster_ends();
  } catch (const Stop&) {
  }
  parts.clear();
  end_block_memory();
  next_block += blocks.size();
  report.blocks += blocks.size();
  report.threads += block_dim.count() * blocks.size();
}

void Machine::run() {
  while (next_block < grid.count() && error.empty()) {
    if (!live) begin_cluster();
    while (live && error.empty()) {
      if (next && next_goes_first()) {
        next->advance();
        error = next->error;
      } else if (!step()) {
        describe_deadlock();
      }
    }
    end_cluster();
  }
  end_memory();
}

// The next launch may start when every block of this one has allowed it or ended.  It then starts at once (fifo), after
// this one has ended (lifo), or as the seed decides: after the end, at once, soon, later.
bool Machine::next_goes_first() {
  if (next->stuck || next_block + blocks.size() < grid.count()) return false;
  for (const Block& block : blocks)
    if (block.live && !block.told) return false;
  if (settings.order == Order::fifo) return true;
  if (settings.order == Order::lifo || settings.seed % 4 == 0) return false;
  return random() % (settings.seed % 4 == 3 ? 64 : settings.seed % 4) == 0;
}

void Machine::advance() {
  const Turn turn(*this);
  if (!begun) begin_cluster();
  stuck = !step();
}

void Machine::previous_has_ended() {
  const Turn turn(*this);
  follows = false;
  for (Thread* t : following) wake(*t);
  following.clear();
}

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
    // The threads of a warp mostly have the same knowledge and learn the same: reuse the last result.
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
    machine->error =
        name_of(machine->launch.kernel) + ": " + who + ": " + sentence + (at.word ? "; " + text_of(at) : "");
  if (!machine->current) throw Stop{};
  machine->leave();
  std::abort();
}

}  // namespace gpukern::model
