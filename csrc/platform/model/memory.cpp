#include "memory.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <tuple>
#include <unordered_map>

#include "shadow.h"
#include "written.h"

namespace gpukern::model {
namespace {

constexpr uint32_t kBase = 0x400;  // the first shared address, not 0: no kernel may rely on that
constexpr uint16_t kNobody = 0xffff;
constexpr int kReaders = 3;
constexpr size_t kFewBuffers = 16;

// The last accesses to one byte.
struct Cell {
  uint32_t write_clock = 0, read_clock[kReaders] = {};
  uint16_t writer = kNobody, reader[kReaders] = {kNobody, kNobody, kNobody};
  uint16_t copier = kNobody;  // the agent whose copy into the byte is in flight
  bool atomic = false;        // whether the last write was atomic
  bool written = false;
  const void* write_pc = nullptr;
  const void* read_pc = nullptr;
};
// The last accesses to one byte of global memory.  Nothing orders different blocks there.
struct GlobalCell {
  uint64_t writer = 0, reader = 0;  // block number + 1, in the upper half; thread in the lower
  uint32_t write_clock = 0, read_clock = 0;
  bool atomic = false;
};

struct Request {
  bool shared, write;
  size_t bytes;
  std::vector<std::pair<int, uintptr_t>> lanes;
};
using Key = std::tuple<const Block*, int, const void*, uint32_t>;  // block, warp, line, execution count of the line

struct Memory {
  std::vector<Shadow<Cell>> shared;                              // by rank
  std::vector<Shadow<GlobalCell>> global;                        // by buffer
  std::map<Key, Request> requests;                               // of the cluster that runs
  std::vector<std::unordered_map<const void*, uint32_t>> times;  // by thread: execution counts of lines
  std::map<uint32_t, std::string> agents;                        // by number: their names in messages
  uint64_t block_number = 0;
  uint32_t threads = 0;  // of the cluster that runs
};

// The state of a host thread.  On the heap: a library that is loaded at run time has little room for thread-local
// variables of the model initial-exec, which `window` below uses.
struct Kept {
  Memory memory;
  std::vector<Buffer> buffers;
  std::vector<std::pair<const char*, size_t>> by_low;         // the buffers sorted by address, if there are many
  std::map<std::pair<const void*, bool>, LineCount> counted;  // by line and whether it writes
  std::map<std::pair<const char*, int>, Place> places;        // by file and line
  const Place* last_place = nullptr;                          // the last one that was looked up
  std::string line;
};
// Declared like `window`.
constinit thread_local Kept* found_before __attribute__((tls_model("initial-exec"))) = nullptr;
Kept& kept() {
  if (found_before) return *found_before;
  static thread_local const std::unique_ptr<Kept> own(new Kept);
  return *(found_before = own.get());
}

// The agent of an access, without a reference count on its knowledge.
struct Who {
  uint32_t id, own;
  const Clock* known;
  bool async = false;
  explicit Who(const Thread& t) : id(t.id), own(t.own), known(t.known.get()) {}
  explicit Who(const Agent& a) : id(a.id), own(a.own), known(a.known.get()), async(a.async) {}
};

bool ordered(uint32_t thread, uint32_t clock, const Who& who) {
  return thread == who.id || (who.known && thread < who.known->size() && (*who.known)[thread] >= clock);
}

// Cells store the origin of an access as an address: of code, or of a Place stored here.
const void* origin_of(const Place& at) {
  Kept& k = kept();
  if (!k.last_place || k.last_place->file != at.file || k.last_place->line != at.line)
    k.last_place = &k.places.try_emplace({at.file, at.line}, at).first->second;
  return k.last_place;
}

std::string where(const void* origin) {
  for (const auto& [key, at] : kept().places)
    if (origin == &at) {
      const char* const slash = std::strrchr(at.file, '/');
      return (slash ? slash + 1 : at.file) + std::string(":") + std::to_string(at.line);
    }
  return origin ? line_of(origin) : "an asynchronous copy";
}

std::string who(uint32_t id, const void* origin) {
  const auto named = kept().memory.agents.find(id);
  return named != kept().memory.agents.end() ? named->second
                                             : "thread " + std::to_string(id) + " (" + where(origin) + ")";
}

// The place of an access by a kernel's own code.
Place place_of(const void* origin, const char* word) {
  std::string& line = kept().line;
  for (const auto& [key, at] : kept().places)
    if (origin == &at) return at;
  line = where(origin);
  const size_t colon = line.rfind(':');
  const int number = colon == std::string::npos ? 0 : std::atoi(line.c_str() + colon + 1);
  line.resize(colon == std::string::npos ? line.size() : colon);
  return {word, line.c_str(), number};
}

const char* verb(Kind kind) { return kind == Kind::read ? "read" : "written"; }
const char* noun(Kind kind) {
  return kind == Kind::read ? "a read" : kind == Kind::write ? "a write" : "an atomic operation";
}

void touch(Shadow<Cell>& shadow, size_t offset, size_t bytes, Kind kind, const Who& agent, const void* origin) {
  const uint32_t threads = kept().memory.threads;
  shadow.each(offset, bytes, [&](Cell& cell, size_t i) {
    if (cell.copier != kNobody)
      fail(place_of(origin, noun(kind)),
           "shared memory at offset %zu is %s while a copy into it, which thread %u issued (%s), is under way", i,
           verb(kind), cell.copier, where(cell.write_pc).c_str());
    if (kind != Kind::write && !cell.written)
      fail(place_of(origin, noun(kind)), "shared memory at offset %zu is read before anything was written there", i);
    if (cell.writer != kNobody && !(kind == Kind::atomic && cell.atomic) &&
        !ordered(cell.writer, cell.write_clock, agent))
      fail(place_of(origin, noun(kind)),
           "race: shared memory at offset %zu is %s here, and %s wrote it with no barrier between", i, verb(kind),
           who(cell.writer, cell.write_pc).c_str());
    if (agent.async && cell.writer < threads && !ordered(fenced_id(cell.writer), cell.write_clock, agent))
      fail(place_of(origin, noun(kind)),
           "shared memory at offset %zu is %s here by the async proxy, and %s wrote it with no fence_proxy_async "
           "between",
           i, verb(kind), who(cell.writer, cell.write_pc).c_str());
    if (kind != Kind::read) {
      for (int r = 0; r < kReaders; ++r)
        if (cell.reader[r] != kNobody && !ordered(cell.reader[r], cell.read_clock[r], agent))
          fail(place_of(origin, noun(kind)),
               "race: shared memory at offset %zu is written here, and %s read it with no barrier between", i,
               who(cell.reader[r], cell.read_pc).c_str());
      cell.writer = static_cast<uint16_t>(agent.id);
      cell.write_clock = agent.own;
      cell.write_pc = origin;
      cell.atomic = kind == Kind::atomic;
      for (uint16_t& r : cell.reader) r = kNobody;
      cell.written = true;
      return;
    }
    int slot = -1;
    for (int r = 0; r < kReaders && slot < 0; ++r)
      if (cell.reader[r] == agent.id || cell.reader[r] == kNobody) slot = r;
    for (int r = 0; r < kReaders && slot < 0; ++r)
      if (ordered(cell.reader[r], cell.read_clock[r], agent)) slot = r;
    if (slot < 0) slot = static_cast<int>(agent.id % kReaders);  // more readers than slots: one is forgotten
    cell.reader[slot] = static_cast<uint16_t>(agent.id);
    cell.read_clock[slot] = agent.own;
    cell.read_pc = origin;
  });
}

void touch_global(size_t which, size_t offset, size_t bytes, Kind kind, const Who& agent, int rank,
                  const void* origin) {
  Kept& k = kept();
  const uint64_t block = (k.memory.block_number + rank + 1) << 32, me = block | agent.id;
  const auto clear = [&](uint64_t who, uint32_t clock) {
    return who == 0 || ((who ^ me) >> 32 == 0 && ordered(static_cast<uint32_t>(who), clock, agent));
  };
  k.memory.global[which].each(offset, bytes, [&](GlobalCell& cell, size_t i) {
    const bool after_writer = (kind == Kind::atomic && cell.atomic) || clear(cell.writer, cell.write_clock);
    if (!after_writer || (kind != Kind::read && !clear(cell.reader, cell.read_clock))) {
      const uint64_t other = after_writer ? cell.reader : cell.writer;
      fail(place_of(origin, noun(kind)),
           "race: byte %zu of '%s' is %s here, and thread %u of block %llu %s it with nothing between", i,
           k.buffers[which].name.c_str(), verb(kind), static_cast<uint32_t>(other),
           static_cast<unsigned long long>(other >> 32) - 1, after_writer ? "read" : "wrote");
    }
    if (kind != Kind::read) {
      cell.writer = me;
      cell.write_clock = agent.own;
      cell.atomic = kind == Kind::atomic;
      cell.reader = 0;
    } else if (cell.reader == 0 || clear(cell.reader, cell.read_clock)) {
      cell.reader = me;
      cell.read_clock = agent.own;
    }
  });
}

void set_copier(const Block& block, size_t offset, size_t bytes, uint16_t copier) {
  kept().memory.shared[block.rank].each(offset, bytes, [=](Cell& cell, size_t) { cell.copier = copier; });
}

void note(const char* address, size_t bytes, bool write, bool shared, const void* pc) {
  const Thread& t = self();
  const uint32_t time = kept().memory.times[t.id][pc]++;
  Request& r = kept().memory.requests[Key{t.block, t.number / wave(), pc, time}];
  r.shared = shared;
  r.write = write;
  r.bytes = bytes;
  r.lanes.emplace_back(t.number % wave(), reinterpret_cast<uintptr_t>(address));
}

// Passes over the 32 banks of 4 bytes: lanes whose words lie in different lines of one bank conflict; 8-byte accesses
// run by half warps and 16-byte ones by quarter warps.
uint64_t bank_passes(const Request& r) {
  const int lanes_at_once = r.bytes <= 4 ? wave() : static_cast<int>(4 * 32 / r.bytes);
  std::map<int, std::map<uintptr_t, std::set<uintptr_t>>> banks;  // phase -> bank -> words
  for (const auto& [lane, address] : r.lanes)
    for (uintptr_t word = address / 4; word <= (address + r.bytes - 1) / 4; ++word)
      banks[lane / lanes_at_once][word % 32].insert(word);
  uint64_t passes = 0;
  for (const auto& [phase, words] : banks) {
    size_t most = 0;
    for (const auto& [bank, different] : words) most = std::max(most, different.size());
    passes += most;
  }
  return passes;
}
uint64_t fewest_passes(const Request& r) {
  const int lanes_at_once = r.bytes <= 4 ? wave() : static_cast<int>(4 * 32 / r.bytes);
  std::set<int> phases;
  for (const auto& lane : r.lanes) phases.insert(lane.first / lanes_at_once);
  return phases.size();
}

void add_up(const Key& key, const Request& r) {
  LineCount& c = kept().counted[{std::get<2>(key), r.write}];
  if (c.line.empty()) c.line = where(std::get<2>(key));
  c.shared = r.shared;
  c.write = r.write;
  ++c.requests;
  c.bytes += r.bytes * r.lanes.size();
  if (r.shared) {
    c.wavefronts += bank_passes(r);
    c.ideal += fewest_passes(r);
    return;
  }
  std::set<uintptr_t> sectors, bytes;
  for (const auto& [lane, address] : r.lanes) {
    for (uintptr_t s = address / 32; s <= (address + r.bytes - 1) / 32; ++s) sectors.insert(s);
    bytes.insert(address);
  }
  c.wavefronts += sectors.size();
  c.ideal += (bytes.size() * r.bytes + 31) / 32;
}

}  // namespace

constinit thread_local Window window{};

std::vector<Buffer>& buffers() { return kept().buffers; }

namespace {
struct Launched {
  Memory memory;
  std::vector<Buffer> buffers;
  std::vector<std::pair<const char*, size_t>> by_low;
};
}  // namespace
Remembered remember() { return std::make_shared<Launched>(Launched{{}, kept().buffers, {}}); }
void exchange(Remembered& other) {
  auto& launched = *static_cast<Launched*>(other.get());
  std::swap(kept().memory, launched.memory);
  std::swap(kept().buffers, launched.buffers);
  std::swap(kept().by_low, launched.by_low);
}

void start_memory() {
  Kept& k = kept();
  k.memory.block_number = 0;
  k.by_low.clear();
  if (k.buffers.size() > kFewBuffers)
    for (size_t i = 0; i < k.buffers.size(); ++i) k.by_low.emplace_back(k.buffers[i].low, i);
  std::sort(k.by_low.begin(), k.by_low.end());
  k.memory.global.clear();
  k.memory.global.resize(k.buffers.size());
  for (size_t i = 0; running_settings().check && i < k.buffers.size(); ++i) {
    const Buffer& b = k.buffers[i];
    k.memory.global[i].start(b.end - b.begin, reinterpret_cast<uintptr_t>(b.begin));
  }
}

void start_block_memory() {
  kept().memory.shared.resize(cluster_size());
  size_t threads = 0;
  for (int rank = 0; rank < cluster_size(); ++rank) {
    const Block& b = block_of(rank);
    threads += b.threads.size();
    kept().memory.shared[rank].start(running_settings().check ? b.shared_bytes : 0);
  }
  kept().memory.threads = static_cast<uint32_t>(threads);
  kept().memory.agents.clear();
  kept().memory.requests.clear();
  kept().memory.times.assign(running_settings().count ? threads : 0, {});
}

void end_block_memory() {
  for (const auto& [key, request] : kept().memory.requests) add_up(key, request);
  kept().memory.requests.clear();
  kept().memory.block_number += cluster_size();
}
void end_memory() { kept().memory = Memory(); }

Agent agent_of(const Thread& t) { return {t.id, t.own, t.known}; }
uint32_t first_agent() { return 2 * kept().memory.threads; }
void name_agent(uint32_t id, std::string name) { kept().memory.agents[id] = std::move(name); }
bool happened(uint32_t id, uint32_t clock, const Agent& agent) { return ordered(id, clock, Who(agent)); }

void shared_access(Block& block, size_t offset, size_t bytes, bool write, const Agent& agent, Place at) {
  if (!running_settings().check) return;
  touch(kept().memory.shared[block.rank], offset, bytes, write ? Kind::write : Kind::read, Who(agent), origin_of(at));
}

void begin_copy(Block& block, size_t offset, size_t bytes, const Agent& agent, Place at) {
  shared_access(block, offset, bytes, true, agent, at);
  std::memset(block.shared + offset, 0xff, bytes);
  if (running_settings().check) set_copier(block, offset, bytes, static_cast<uint16_t>(agent.id));
}

void end_copy(Block& block, size_t offset, size_t bytes, const Agent& agent, Place at) {
  if (!running_settings().check) return;
  set_copier(block, offset, bytes, kNobody);
  shared_access(block, offset, bytes, true, agent, at);
}

void* static_shared(const void* variable, size_t bytes, size_t alignment) {
  Block& b = *self().block;
  const auto [at, fresh] = b.statics.try_emplace(variable, 0);
  if (fresh) {
    alignment = std::max<size_t>(alignment, 16);
    at->second = (b.shared_bytes + alignment - 1) / alignment * alignment;
    b.shared_bytes = at->second + bytes;
    if (b.shared_bytes > b.shared_room) fail({}, "more than 48 KiB of static shared memory");
    std::memset(b.shared + at->second, 0xff, bytes);
    if (running_settings().check) kept().memory.shared[b.rank].grow(b.shared_bytes);
  }
  return b.shared + at->second;
}

namespace {
// On a device an access whose address is not a multiple of its size is a fault.
void check_alignment(const char* address, size_t bytes, Kind kind, const void* origin) {
  if (reinterpret_cast<uintptr_t>(address) % bytes)
    fail(place_of(origin, noun(kind)), "an access of %zu bytes at %p, which is not a multiple of that", bytes,
         static_cast<const void*>(address));
}

// In a result only bytes may be read that this launch or an earlier one has written.
void touch_result(Buffer& b, size_t offset, size_t bytes, Kind kind, const void* origin) {
  if (kind != Kind::write && running_settings().check)
    if (const size_t i = first_unwritten(b, offset, bytes); i < bytes)
      fail(place_of(origin, noun(kind)), "byte %zu of '%s' is read, and no kernel has written it", offset + i,
           b.name.c_str());
  if (kind != Kind::read) note_write(b, offset, bytes);
}

// False if the address is near no buffer: it is then a thread's own memory.
bool global_access_from(const char* address, size_t bytes, Kind kind, const Who& agent, int rank, const void* origin,
                        bool aligned, bool counts) {
  Kept& k = kept();
  std::vector<Buffer>& all = k.buffers;
  size_t first = 0, end = all.size();
  if (!k.by_low.empty()) {  // the last buffer that begins before the address; buffers do not overlap
    const auto next = std::upper_bound(k.by_low.begin(), k.by_low.end(), std::pair(address, SIZE_MAX));
    if (next == k.by_low.begin()) return false;
    first = std::prev(next)->second, end = first + 1;
  }
  for (size_t i = first; i < end; ++i) {
    Buffer& b = all[i];
    if (address < b.low || address >= b.high) continue;
    if (ahead_of_previous())
      fail(place_of(origin, noun(kind)),
           "'%s' is %s before the thread's griddepcontrol_wait, and this launch may overlap the one before it",
           b.name.c_str(), verb(kind));
    if (address >= b.begin && address + bytes <= b.end && (kind == Kind::read || b.writable)) {
      if (aligned) check_alignment(address, bytes, kind, origin);
      if (b.written) touch_result(b, address - b.begin, bytes, kind, origin);
      if (running_settings().check) touch_global(i, address - b.begin, bytes, kind, agent, rank, origin);
      if (counts) note(address, bytes, kind != Kind::read, false, origin);
      return true;
    }
    const Place at = place_of(origin, noun(kind));
    if (address < b.begin) fail(at, "%s starts %td bytes before '%s'", noun(kind), b.begin - address, b.name.c_str());
    if (address + bytes > b.end)
      fail(at, "%s ends %td bytes behind '%s'", noun(kind), address + bytes - b.end, b.name.c_str());
    fail(at, "%s to the input '%s'", noun(kind), b.name.c_str());
  }
  return false;
}

void access_from(const char* address, size_t bytes, Kind kind, const void* origin, bool aligned) {
  const Settings& s = running_settings();
  for (int rank = 0; rank < cluster_size(); ++rank) {
    const Block& b = block_of(rank);
    if (address < b.shared || address >= b.shared + b.shared_room) continue;
    const size_t offset = address - b.shared;
    if (offset + bytes > b.shared_bytes)
      fail(place_of(origin, noun(kind)), "%zu bytes at offset %zu of the %zu bytes of shared memory", bytes, offset,
           b.shared_bytes);
    if (aligned) check_alignment(address, bytes, kind, origin);
    if (s.check) touch(kept().memory.shared[rank], offset, bytes, kind, Who(self()), origin);
    if (s.count) note(address, bytes, kind != Kind::read, true, origin);
    return;
  }
  global_access_from(address, bytes, kind, Who(self()), self().block->rank, origin, aligned, s.count);
}
}  // namespace

void global_access(const Block& block, const char* address, size_t bytes, bool write, const Agent& agent, Place at) {
  const Kind kind = write ? Kind::write : Kind::read;
  // Copies may access only the buffers of the launch.
  if (!global_access_from(address, bytes, kind, Who(agent), block.rank, origin_of(at), false, false) &&
      !kept().buffers.empty())
    fail(at, "%s at %p, where no buffer is", noun(kind), static_cast<const void*>(address));
}

void access(const char* address, size_t bytes, bool write, const void* pc, bool aligned) {
  access_from(address, bytes, write ? Kind::write : Kind::read, pc, aligned);
}

void access(const void* address, size_t bytes, Kind kind, Place at) {
  if (running()) access_from(static_cast<const char*>(address), bytes, kind, origin_of(at), false);
}

uint32_t shared_address(const void* pointer, Place at) {
  const auto* p = static_cast<const char*>(pointer);
  for (int rank = 0; rank < cluster_size(); ++rank) {
    const Block& b = block_of(rank);
    if (p >= b.shared && p <= b.shared + b.shared_bytes)
      return static_cast<uint32_t>(rank) << 24 | (kBase + static_cast<uint32_t>(p - b.shared));
  }
  fail(at, "%p is not in shared memory", pointer);
}

Block& shared_block(uint32_t address, Place at) {
  const int rank = static_cast<int>(address >> 24);
  if (rank >= cluster_size())
    fail(at, "shared address %#x names block %d of a cluster of %d", address, rank, cluster_size());
  return block_of(rank);
}
size_t shared_offset(uint32_t address) { return (address & 0xffffff) - kBase; }

char* shared_pointer(uint32_t address, size_t bytes, size_t alignment, Place at) {
  Block& b = shared_block(address, at);
  const size_t offset = shared_offset(address);
  if (address % alignment) fail(at, "shared address %#x is not a multiple of %zu", address, alignment);
  if ((address & 0xffffff) < kBase || offset + bytes > b.shared_bytes)
    fail(at, "%zu bytes at shared address %#x lie outside the %zu requested", bytes, address, b.shared_bytes);
  return b.shared + offset;
}

std::vector<LineCount> take_counts() {
  std::vector<LineCount> all;
  for (const auto& [key, count] : kept().counted) all.push_back(count);
  kept().counted.clear();
  return all;
}

}  // namespace gpukern::model
