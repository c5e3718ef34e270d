#include "tma.h"

#include "cluster.h"
#include "swizzle.h"

namespace gpukern::model {
namespace {

constexpr uint32_t kPiece = 16;  // bytes that a swizzle moves together

constexpr const Swizzling* kSwizzles[] = {&kUnswizzled, &kSwizzled32, &kSwizzled64, &kSwizzled128};  // by the enum

// A copy between its instruction and its completion.
struct Box {
  CUtensorMap map;
  int64_t at[5] = {};
  uint32_t shared;
  Place place;
  std::string name;
  uint64_t all = 0;  // bytes

  uint32_t bytes() const { return static_cast<uint32_t>(all); }
  uint32_t row_bytes() const { return uint32_t{map.box[0]} * map.element_bytes; }
  int64_t extent(int d) const { return int64_t{map.last_index[d]} + 1; }

  // Calls f(offset in the box, address, bytes, ..) for every row of the box; the address is null if the row lies
  // outside the tensor, and `first` elements of the row lie before it.
  template <class F> void rows(F f) const {
    const uint32_t count = bytes() / row_bytes();
    for (uint32_t row = 0; row < count; ++row) {
      const char* from = reinterpret_cast<const char*>(map.address);
      bool inside = true;
      uint32_t rest = row;
      for (int d = 1; d < map.rank; ++d) {
        const int64_t x = at[d] + rest % map.box[d];
        rest /= map.box[d];
        inside &= x >= 0 && x < extent(d);
        from += x * static_cast<int64_t>(map.stride[d - 1]);
      }
      const int64_t first = std::max<int64_t>(0, -at[0]);
      const int64_t end = std::min<int64_t>(map.box[0], extent(0) - at[0]);
      const bool some = inside && first < end;
      f(row * row_bytes(), some ? from + (at[0] + first) * map.element_bytes : nullptr,
        static_cast<uint32_t>(first * map.element_bytes), static_cast<uint32_t>((end - first) * map.element_bytes));
    }
  }
  // The shared address of a piece of the box in a block.
  uint32_t piece(uint32_t offset, int rank) const {
    return kSwizzles[map.swizzle]->place((shared & 0xffffff) + offset) | static_cast<uint32_t>(rank) << 24;
  }
};

Box box_of(const TensorCopy& c, Place at) {
  if (reinterpret_cast<uintptr_t>(c.map) % 64)
    fail(at, "the tensor map at %p is not aligned to 64 bytes", static_cast<const void*>(c.map));
  if (c.map->made != kMadeMap) fail(at, "the tensor map at %p was never encoded", static_cast<const void*>(c.map));
  Box box{*c.map, {}, c.shared, at, {}};
  if (c.rank != box.map.rank) fail(at, "%d coordinates for a tensor map of rank %d", c.rank, box.map.rank);
  box.all = box.map.element_bytes;
  for (int d = 0; d < c.rank; ++d) {
    box.at[d] = c.at[d];
    box.all *= box.map.box[d];
  }
  if (static_cast<int>(c.shared >> 24) != self().block->rank)
    fail(at, "the shared address %#x is another block's", c.shared);
  shared_pointer(c.shared, box.all, 128, at);
  box.name = text_of(at) + " of " + name_of(self());
  return box;
}

void watch_shared(const Box& box, Block& block, bool write, const Agent& agent) {
  for (uint32_t offset = 0; offset < box.bytes(); offset += kPiece) {
    const uint32_t address = box.piece(offset, block.rank);
    shared_pointer(address, kPiece, kPiece, box.place);
    shared_access(block, shared_offset(address), kPiece, write, agent, box.place);
  }
}
void watch_global(const Box& box, bool write, const Agent& agent) {
  const Block& block = *self().block;
  box.rows([&](uint32_t, const char* p, uint32_t, uint32_t bytes) {
    if (p) global_access(block, p, bytes, write, agent, box.place);
  });
}

// Rounds to nearest, ties to even; a carry into the exponent gives the right result too.
uint32_t rounded_to_tf32(uint32_t bits) {
  const bool finite = (bits & 0x7f800000) != 0x7f800000;
  return finite ? (bits + 0xfff + (bits >> 13 & 1)) & ~0x1fffu : bits;
}
void round_to_tf32(char* from, uint32_t bytes) {
  for (uint32_t i = 0; i < bytes; i += 4) {
    uint32_t bits;
    std::memcpy(&bits, from + i, 4);
    bits = rounded_to_tf32(bits);
    std::memcpy(from + i, &bits, 4);
  }
}

void load_arrives(const Box& box, const std::vector<int>& ranks) {
  std::vector<char> data(box.bytes(), 0);
  box.rows([&](uint32_t offset, const char* p, uint32_t skipped, uint32_t bytes) {
    if (p) std::memcpy(&data[offset + skipped], p, bytes);
  });
  if (box.map.to_tf32) round_to_tf32(data.data(), box.bytes());
  for (const int rank : ranks) {
    if (block_of(rank).live == 0) fail(box.place, "%s arrives in block %d, which has ended", box.name.c_str(), rank);
    for (uint32_t offset = 0; offset < box.bytes(); offset += kPiece)
      std::memcpy(shared_pointer(box.piece(offset, rank), kPiece, kPiece, box.place), &data[offset], kPiece);
  }
}

void store_happens(const Box& box) {
  std::vector<char> data(box.bytes());
  const int rank = static_cast<int>(box.shared >> 24);
  for (uint32_t offset = 0; offset < box.bytes(); offset += kPiece)
    std::memcpy(&data[offset], shared_pointer(box.piece(offset, rank), kPiece, kPiece, box.place), kPiece);
  box.rows([&](uint32_t offset, const char* p, uint32_t skipped, uint32_t bytes) {
    if (p) std::memcpy(const_cast<char*>(p), &data[offset + skipped], bytes);
  });
}

// The bulk groups of one thread.
struct Groups {
  std::vector<int> under_way{0};   // copies in flight of each group; the last group is open
  uint32_t reads = 0, writes = 0;  // agents that read shared memory and that write global memory
  uint32_t known_read = 0;         // groups that the thread has waited for
  int copies = 0;                  // of the open group
  Thread* waiting = nullptr;

  uint32_t committed() const { return static_cast<uint32_t>(under_way.size()) - 1; }
  bool done(uint32_t groups) const {
    for (uint32_t g = 0; g < groups; ++g)
      if (under_way[g]) return false;
    return true;
  }
};

struct BulkGroups : Part {
  std::map<uint32_t, Groups> all;  // by thread

  void thread_ends(Thread& t) override {
    const auto found = all.find(t.id);
    if (found == all.end()) return;
    const Groups& g = found->second;
    if (g.copies)
      fail(t.at, "thread %d ends with %d tma_store in no group: bulk_commit_group is missing", t.number, g.copies);
    if (g.known_read < g.committed())
      fail(t.at, "thread %d ends while its tma_store may still read shared memory: bulk_wait_group_read is missing",
           t.number);
  }
};

}  // namespace

void tma_load(const TensorCopy& copy, uint32_t barrier, uint32_t mask, bool multicast, Place at) {
  auto box = std::make_shared<Box>(box_of(copy, at));
  const int own = self().block->rank;
  if (static_cast<int>(barrier >> 24) != own) fail(at, "the mbarrier %#x is another block's", barrier);
  if (!multicast) mask = 1u << own;
  if (mask == 0 || mask >> cluster_size())
    fail(at, "the mask %#x names blocks outside a cluster of %d", mask, cluster_size());
  const Agent issuer{self().id, self().own, knowledge()};
  Agent agent = part<Agents>().start(box->name);
  agent.known = issuer.known;
  std::vector<int> ranks;
  for (int rank = 0; rank < cluster_size(); ++rank)
    if (mask >> rank & 1) ranks.push_back(rank);
  for (const int rank : ranks) {
    Block& block = block_of(rank);
    if (rank != own) part<Cluster>().reaches(block, agent.id, agent.own, at);
    check_completes((barrier & 0xffffff) | static_cast<uint32_t>(rank) << 24, issuer, at);
    // From here on the box belongs to the copy: no thread may read it before the mbarrier's phase is complete.
    watch_shared(*box, block, true, agent);
    for (uint32_t offset = 0; offset < box->bytes(); offset += kPiece)
      std::memset(shared_pointer(box->piece(offset, rank), kPiece, kPiece, at), 0xff, kPiece);
  }
  watch_global(*box, false, agent);
  later([=] {
    load_arrives(*box, ranks);
    for (const int rank : ranks)
      complete_bytes((barrier & 0xffffff) | static_cast<uint32_t>(rank) << 24, box->bytes(), agent, box->place);
    part<Agents>().finish(agent);
  });
  yield();
}

void tma_store(const TensorCopy& copy, Place at) {
  auto box = std::make_shared<Box>(box_of(copy, at));
  Thread& me = self();
  Groups& groups = part<BulkGroups>().all[me.id];
  if (groups.reads == 0) {
    groups.reads = part<Agents>().permanent(box->name);
    groups.writes = part<Agents>().permanent(box->name);
  }
  const uint32_t group = groups.committed();
  name_agent(groups.reads, box->name);
  name_agent(groups.writes, box->name);
  ++groups.copies;
  ++groups.under_way[group];
  Agent agent{groups.reads, group + 1, knowledge(), true};
  watch_shared(*box, *me.block, false, agent);
  agent.id = groups.writes;
  watch_global(*box, true, agent);
  later([=, &groups] {
    store_happens(*box);
    --groups.under_way[group];
    if (groups.waiting) wake(*groups.waiting);
  });
  yield();
}

void bulk_commit_group(Place) {
  Groups& groups = part<BulkGroups>().all[self().id];
  groups.under_way.push_back(0);
  groups.copies = 0;
}

void bulk_wait_group(int left, bool only_read, Place at) {
  Groups& groups = part<BulkGroups>().all[self().id];
  const uint32_t committed = groups.committed();
  const uint32_t upto = committed > static_cast<uint32_t>(left) ? committed - left : 0;
  groups.waiting = &self();
  while (!groups.done(upto)) wait(at);
  groups.waiting = nullptr;
  groups.known_read = std::max(groups.known_read, upto);
  if (upto == 0 || groups.reads == 0) return;
  acquire(groups.reads, upto);
  if (!only_read) acquire(groups.writes, upto);
}

void prefetch_tensormap(const TensorMap* map, Place at) {
  if (reinterpret_cast<uintptr_t>(map) % 64)
    fail(at, "the tensor map at %p is not aligned to 64 bytes", static_cast<const void*>(map));
}

}  // namespace gpukern::model
