#include "memory.h"

#include <cstring>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>

namespace gpukern::model {
namespace {

constexpr uint32_t kBase = 0x400;  // shared addresses start here: no kernel may rely on 0
constexpr uint16_t kNobody = 0xffff;
constexpr int kReaders = 3;

// The last accesses to one byte.
struct Cell {
  uint32_t write_clock = 0, read_clock[kReaders] = {};
  uint16_t writer = kNobody, reader[kReaders] = {kNobody, kNobody, kNobody};
  const void* write_pc = nullptr;
  const void* read_pc = nullptr;
};
struct SharedShadow {
  std::vector<Cell> cells;
  std::vector<bool> written;
};
// Of a byte of global memory, whose blocks are ordered by nothing.
struct GlobalCell {
  uint64_t writer = 0, reader = 0;  // block number + 1, in the upper half; thread in the lower
  uint32_t write_clock = 0, read_clock = 0;
};

struct Request {
  bool shared, write;
  size_t bytes;
  std::vector<std::pair<int, uintptr_t>> lanes;
};
using Key = std::tuple<const Block*, int, const void*, uint32_t>;  // block, warp, line, how often it came by

struct Memory {
  std::vector<SharedShadow> shared;                            // by rank
  std::vector<std::vector<GlobalCell>> global;                 // by buffer
  std::map<Key, Request> requests;                             // of the cluster that runs
  std::vector<std::unordered_map<const void*, uint32_t>> times;  // by thread: how often a line came by
  std::map<uint32_t, std::string> agents;                      // by number: what messages call them
  uint64_t block_number = 0;
  uint32_t threads = 0;  // of the cluster that runs
};
thread_local Memory memory;
thread_local std::vector<Buffer> host_buffers;
thread_local std::map<std::pair<const void*, bool>, LineCount> counted;  // by line and whether it writes

bool ordered(uint32_t thread, uint32_t clock, const Agent& agent) {
  return thread == agent.id || (agent.known && thread < agent.known->size() && (*agent.known)[thread] >= clock);
}

std::string who(uint32_t id, const void* pc) {
  const auto named = memory.agents.find(id);
  if (named != memory.agents.end()) return named->second;
  return "thread " + std::to_string(id) + " (" + (pc ? line_of(pc) : "an asynchronous copy") + ")";
}

Place place_of(const void* pc, const char* word) {
  static thread_local std::string kept;
  kept = line_of(pc);
  const size_t colon = kept.rfind(':');
  const int line = colon == std::string::npos ? 0 : std::atoi(kept.c_str() + colon + 1);
  kept.resize(colon == std::string::npos ? kept.size() : colon);
  return {word, kept.c_str(), line};
}

void touch(SharedShadow& shadow, size_t offset, size_t bytes, bool write, const Agent& agent, const void* pc, Place at) {
  for (size_t i = offset; i < offset + bytes; ++i) {
    Cell& cell = shadow.cells[i];
    if (!write && !shadow.written[i])
      fail(pc ? place_of(pc, "a read") : at, "shared memory at offset %zu is read before anything was written there", i);
    if (cell.writer != kNobody && !ordered(cell.writer, cell.write_clock, agent))
      fail(pc ? place_of(pc, write ? "a write" : "a read") : at,
           "race: shared memory at offset %zu is %s here, and %s wrote it with no barrier between", i,
           write ? "written" : "read", who(cell.writer, cell.write_pc).c_str());
    if (agent.async && cell.writer < memory.threads && !ordered(fenced_id(cell.writer), cell.write_clock, agent))
      fail(at, "shared memory at offset %zu is %s here by the async proxy, and %s wrote it with no fence_proxy_async between",
           i, write ? "written" : "read", who(cell.writer, cell.write_pc).c_str());
    if (write) {
      for (int r = 0; r < kReaders; ++r)
        if (cell.reader[r] != kNobody && !ordered(cell.reader[r], cell.read_clock[r], agent))
          fail(pc ? place_of(pc, "a write") : at,
               "race: shared memory at offset %zu is written here, and %s read it with no barrier between", i,
               who(cell.reader[r], cell.read_pc).c_str());
      cell.writer = static_cast<uint16_t>(agent.id);
      cell.write_clock = agent.own;
      cell.write_pc = pc;
      for (uint16_t& r : cell.reader) r = kNobody;
      shadow.written[i] = true;
      continue;
    }
    int slot = -1;
    for (int r = 0; r < kReaders && slot < 0; ++r)
      if (cell.reader[r] == agent.id || cell.reader[r] == kNobody) slot = r;
    for (int r = 0; r < kReaders && slot < 0; ++r)
      if (ordered(cell.reader[r], cell.read_clock[r], agent)) slot = r;
    if (slot < 0) slot = static_cast<int>(agent.id % kReaders);  // more readers at once than places: some are forgotten
    cell.reader[slot] = static_cast<uint16_t>(agent.id);
    cell.read_clock[slot] = agent.own;
    cell.read_pc = pc;
  }
}

void touch_global(size_t which, size_t offset, size_t bytes, bool write, const Agent& agent, int rank, const void* pc,
                  Place at) {
  std::vector<GlobalCell>& cells = memory.global[which];
  const uint64_t block = (memory.block_number + rank + 1) << 32, me = block | agent.id;
  const auto clear = [&](uint64_t who, uint32_t clock) {
    return who == 0 || ((who ^ me) >> 32 == 0 && ordered(static_cast<uint32_t>(who), clock, agent));
  };
  for (size_t i = offset; i < offset + bytes; ++i) {
    GlobalCell& cell = cells[i];
    if (!clear(cell.writer, cell.write_clock) || (write && !clear(cell.reader, cell.read_clock)))
      fail(pc ? place_of(pc, write ? "a write" : "a read") : at,
           "race: byte %zu of '%s' is %s here, and thread %u of block %llu %s it with nothing between", i,
           host_buffers[which].name.c_str(), write ? "written" : "read",
           static_cast<uint32_t>(clear(cell.writer, cell.write_clock) ? cell.reader : cell.writer),
           static_cast<unsigned long long>((clear(cell.writer, cell.write_clock) ? cell.reader : cell.writer) >> 32) - 1,
           clear(cell.writer, cell.write_clock) ? "read" : "wrote");
    if (write) {
      cell.writer = me;
      cell.write_clock = agent.own;
      cell.reader = 0;
    } else if (cell.reader == 0 || clear(cell.reader, cell.read_clock)) {
      cell.reader = me;
      cell.read_clock = agent.own;
    }
  }
}

// Whether a buffer holds that address; it may be used, or this does not return.
bool in_buffers(const char* address, size_t bytes, bool write, const Agent& agent, int rank, const void* pc, Place at) {
  for (size_t i = 0; i < host_buffers.size(); ++i) {
    const Buffer& b = host_buffers[i];
    if (address < b.low || address >= b.high) continue;
    if (pc && (address < b.begin || address + bytes > b.end || (write && !b.writable)))
      at = place_of(pc, write ? "a write" : "a read");
    const char* const what = write ? "a write" : "a read";
    if (address < b.begin) fail(at, "%s starts %td bytes before '%s'", what, b.begin - address, b.name.c_str());
    if (address + bytes > b.end)
      fail(at, "%s ends %td bytes behind '%s'", what, address + bytes - b.end, b.name.c_str());
    if (write && !b.writable) fail(at, "a write to the input '%s'", b.name.c_str());
    if (running_settings().check) touch_global(i, address - b.begin, bytes, write, agent, rank, pc, at);
    return true;
  }
  return false;
}

void note(const char* address, size_t bytes, bool write, bool shared, const void* pc) {
  const Thread& t = self();
  const uint32_t time = memory.times[t.id][pc]++;
  Request& r = memory.requests[Key{t.block, t.number / wave(), pc, time}];
  r.shared = shared;
  r.write = write;
  r.bytes = bytes;
  r.lanes.emplace_back(t.number % wave(), reinterpret_cast<uintptr_t>(address));
}

// Passes over the 32 banks of 4 bytes: lanes whose words lie in different rows of one bank wait for each other; 8-byte
// accesses go by halves of a warp and 16-byte ones by quarters.
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
  LineCount& c = counted[{std::get<2>(key), r.write}];
  if (c.line.empty()) c.line = line_of(std::get<2>(key));
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

std::vector<Buffer>& buffers() { return host_buffers; }

void start_memory() {
  memory.block_number = 0;
  memory.global.clear();
  for (const Buffer& b : host_buffers) memory.global.emplace_back(running_settings().check ? b.end - b.begin : 0);
}

void start_block_memory() {
  memory.shared.resize(cluster_size());
  size_t threads = 0;
  for (int rank = 0; rank < cluster_size(); ++rank) {
    const Block& b = block_of(rank);
    threads += b.threads.size();
    memory.shared[rank].cells.assign(running_settings().check ? b.shared_bytes : 0, Cell());
    memory.shared[rank].written.assign(running_settings().check ? b.shared_bytes : 0, false);
  }
  memory.threads = static_cast<uint32_t>(threads);
  memory.agents.clear();
  memory.requests.clear();
  memory.times.assign(running_settings().count ? threads : 0, {});
}

void end_block_memory() {
  for (const auto& [key, request] : memory.requests) add_up(key, request);
  memory.requests.clear();
  memory.block_number += cluster_size();
}
void end_memory() { memory = Memory(); }

Agent agent_of(const Thread& t) { return {t.id, t.own, t.known}; }
uint32_t first_agent() { return 2 * memory.threads; }
void name_agent(uint32_t id, std::string name) { memory.agents[id] = std::move(name); }
bool happened(uint32_t id, uint32_t clock, const Agent& agent) { return ordered(id, clock, agent); }

void shared_access(Block& block, size_t offset, size_t bytes, bool write, const Agent& agent, Place at) {
  if (running_settings().check) touch(memory.shared[block.rank], offset, bytes, write, agent, nullptr, at);
}

void access(const char* address, size_t bytes, bool write, const void* pc) {
  if (!running()) return;
  const Settings& s = running_settings();
  for (int rank = 0; rank < cluster_size(); ++rank) {
    const Block& b = block_of(rank);
    if (address < b.shared || address >= b.shared + b.shared_bytes) continue;
    const size_t offset = address - b.shared;
    if (offset + bytes > b.shared_bytes)
      fail(place_of(pc, write ? "a write" : "a read"), "%zu bytes at offset %zu of the %zu bytes of shared memory", bytes,
           offset, b.shared_bytes);
    if (s.check) touch(memory.shared[rank], offset, bytes, write, agent_of(self()), pc, {});
    if (s.count) note(address, bytes, write, true, pc);
    return;
  }
  if (in_buffers(address, bytes, write, agent_of(self()), self().block->rank, pc, {}) && s.count)
    note(address, bytes, write, false, pc);
}

void global_access(const Block& block, const char* address, size_t bytes, bool write, const Agent& agent, Place at) {
  in_buffers(address, bytes, write, agent, block.rank, nullptr, at);
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
  if (rank >= cluster_size()) fail(at, "shared address %#x names block %d of a cluster of %d", address, rank, cluster_size());
  return block_of(rank);
}
size_t shared_offset(uint32_t address) { return (address & 0xffffff) - kBase; }

char* shared_pointer(uint32_t address, size_t bytes, size_t alignment, Place at) {
  Block& b = shared_block(address, at);
  const size_t offset = shared_offset(address);
  if (address % alignment) fail(at, "shared address %#x is not a multiple of %zu", address, alignment);
  if ((address & 0xffffff) < kBase || offset + bytes > b.shared_bytes)
    fail(at, "%zu bytes at shared address %#x lie outside the %zu that were asked for", bytes, address, b.shared_bytes);
  return b.shared + offset;
}

std::vector<LineCount> take_counts() {
  std::vector<LineCount> all;
  for (const auto& [key, count] : counted) all.push_back(count);
  counted.clear();
  return all;
}

}  // namespace gpukern::model
