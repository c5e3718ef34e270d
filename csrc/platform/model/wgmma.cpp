#include "wgmma.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "cut_sums.h"
#include "float8.h"
#include "wgmma_layout.h"

namespace gpukern::model {
namespace {

constexpr int kLanes = 32, kWarps = 4, kRows = 16;  // rows: of a warp
constexpr int kStepBytes = 32, kMostK = 32;         // k of one wgmma
constexpr uint32_t kPoison = 0xffbfffff;            // a signalling NaN; arithmetic never produces this pattern

// Accumulators in use by the tensor cores: their registers hold poison until they are waited for.
struct Accumulator {
  char* d[kLanes];
  int registers;
  uint32_t group;               // the last group that writes it
  std::vector<uint32_t> value;  // registers of lane 0, of lane 1 ..
  Place at;
};
struct Operation {
  Product product;
  int accumulator;
  const uint32_t* a[kLanes];
  uint32_t a_was[kLanes][4];
  Place at;
};
struct WarpState {
  std::vector<Operation> open;
  std::map<int, Accumulator> accumulators;
  int next = 0;
  uint32_t committed = 0, waited = 0, ran = 0;  // groups
  bool fenced = false;
};
struct Group {
  std::vector<Operation> operations[kWarps];
  int committed = 0, ran = 0;  // warps
};
struct WarpGroup {
  WarpState warps[kWarps];
  std::vector<Group> groups;
  std::vector<Thread*> waiting;
  uint32_t agent = 0;

  bool done(uint32_t upto) const {
    for (uint32_t g = 0; g < upto; ++g)
      if (g >= groups.size() || groups[g].ran < kWarps) return false;
    return true;
  }
  void wake_all() {
    for (Thread* t : waiting) wake(*t);
    waiting.clear();
  }
};

struct WarpGroups : Part {
  std::map<std::pair<int, int>, WarpGroup> all;  // (rank of the block, number)

  void thread_ends(Thread& t) override {
    const auto found = all.find({t.block->rank, t.number / (kLanes * kWarps)});
    if (found == all.end()) return;
    const WarpState& w = found->second.warps[t.number / kLanes % kWarps];
    if (!w.open.empty())
      fail(w.open[0].at, "thread %d ends with a wgmma in no group: wgmma_commit_group is missing", t.number);
    if (w.waited < w.committed)
      fail(t.at, "thread %d ends while its wgmma is under way: wgmma_wait_group is missing", t.number);
  }
};

WarpGroup& my_group(Place at) {
  const Thread& me = self();
  const int number = me.number / (kLanes * kWarps);
  if (wave() != kLanes) fail(at, "warps have 32 lanes where there is wgmma");
  if (static_cast<size_t>((number + 1) * kLanes * kWarps) > me.block->threads.size())
    fail(at, "a warpgroup is 128 threads, and the block ends before");
  WarpGroup& group = part<WarpGroups>().all[{me.block->rank, number}];
  if (group.agent == 0) group.agent = part<Agents>().permanent("wgmma");
  return group;
}
int my_warp() { return self().number / kLanes % kWarps; }

// ---- operands in shared memory --------------------------------------------------------------------------------

void check_descriptor(uint64_t descriptor, const Operand& o, Place at) {
  if (descriptor & kReserved)
    fail(at, "a matrix descriptor with undefined bits, %#llx", static_cast<unsigned long long>(descriptor & kReserved));
  if (descriptor & kBaseOffset) fail(at, "a matrix descriptor with a base offset; patterns start where it is 0");
  // These bits are the line of a swizzle pattern: unless they are 0, the matrix starts where TMA does not start a box.
  const uint32_t span = o.swizzle->span, pattern = span * 8;
  if (o.swizzle != &kUnswizzled && o.start % pattern >= span)
    fail(at, "a matrix with a swizzle of %u bytes starts at %#x, in the middle of a pattern of %u bytes", span, o.start,
         pattern);
}

// Calls f(address, row or k, index of the piece) for each 16-byte piece of rows [from, from + rows) and one wgmma's k.
template <class F> void each_piece(const Operand& o, int from, int rows, F f) {
  if (o.mn_major) {
    for (int k = 0; k < 16; ++k)
      for (int piece = from / 8; piece < (from + rows) / 8; ++piece) f(o.piece(k, piece), k, piece);
  } else {
    for (int row = from; row < from + rows; ++row)
      for (int piece = 0; piece < kStepBytes / 16; ++piece) f(o.piece(row, piece), row, piece);
  }
}

inline float value_of(const char* from, Elements kind) {
  uint8_t byte;
  uint16_t half;
  uint32_t word;
  std::memcpy(&byte, from, 1);
  switch (kind) {
    case Elements::f16: std::memcpy(&half, from, 2); return to_float(half_t{half});
    case Elements::bf16: std::memcpy(&half, from, 2); return to_float(bfloat16_t{half});
    case Elements::tf32: std::memcpy(&word, from, 4); return float_of(word & ~0x1fffu);  // the rest is not looked at
    case Elements::s8: return static_cast<float>(static_cast<int8_t>(byte));
    default: return float8_value(byte, kind == Elements::e5m2);
  }
}

// The operand as floats: to[k][row], lines `width` apart.
template <Elements Kind> void load_as(const Operand& o, int from, int rows, float* to, int width, Place at) {
  constexpr int size = bytes_of(Kind), each = 16 / size;
  each_piece(o, from, rows, [&](uint32_t address, int line, int piece) {
    char bytes[16];
    std::memcpy(bytes, shared_pointer(address, 16, 16, at), 16);
    for (int i = 0; i < each; ++i) {
      const int row = o.mn_major ? piece * each + i : line, k = o.mn_major ? line : piece * each + i;
      to[k * width + row - from] = value_of(bytes + i * size, Kind);
    }
  });
}
void load(const Operand& o, Elements kind, int from, int rows, float* to, int width, Place at) {
  switch (kind) {
    case Elements::f16: return load_as<Elements::f16>(o, from, rows, to, width, at);
    case Elements::bf16: return load_as<Elements::bf16>(o, from, rows, to, width, at);
    case Elements::tf32: return load_as<Elements::tf32>(o, from, rows, to, width, at);
    case Elements::s8: return load_as<Elements::s8>(o, from, rows, to, width, at);
    case Elements::e4m3: return load_as<Elements::e4m3>(o, from, rows, to, width, at);
    case Elements::e5m2: return load_as<Elements::e5m2>(o, from, rows, to, width, at);
  }
}

void watch(const Operand& o, int from, int rows, const Agent& agent, Place at) {
  Block& block = *self().block;
  each_piece(o, from, rows, [&](uint32_t address, int, int) {
    shared_pointer(address, 16, 16, at);
    shared_access(block, shared_offset(address), 16, false, agent, at);
  });
}

// ---- execution ------------------------------------------------------------------------------------------------

// Adds a warp's rows of A times B to the accumulators.
void add(const Product& p, int k, const float* left, const float* right, float* sum) {
  switch (p.kind_a) {
    case Elements::f16:
    case Elements::bf16: return add_cut<kHopperCut16>(kRows, p.n, k, left, 1, kRows, right, sum);
    case Elements::tf32: return add_cut<kHopperCut32>(kRows, p.n, k, left, 1, kRows, right, sum);
    case Elements::e4m3:
    case Elements::e5m2: return add_cut<kCut8>(kRows, p.n, k, left, 1, kRows, right, sum);
    case Elements::s8:
      for (int row = 0; row < kRows; ++row, sum += p.n)
        for (int kk = 0; kk < k; ++kk)
          for (int column = 0; column < p.n; ++column) sum[column] += left[kk * kRows + row] * right[kk * p.n + column];
  }
}

// A warp's quarter of the product: 16 rows of A, all of B.
void execute(const Operation& op, const Operand& a, const Operand& b, int warp, Accumulator& to) {
  float left[kMostK * kRows], right[kMostK * 256], sums[kRows * 256];
  const Product& p = op.product;
  const int k = kStepBytes / bytes_of(p.kind_a);
  const bool whole = p.kind_a == Elements::s8;
  if (p.a_in_registers) {
    for (int l = 0; l < kLanes; ++l)
      for (int i = 0; i < 8; ++i) {
        const Element at = wgmma_a(l, i);
        const uint16_t bits = static_cast<uint16_t>(op.a_was[l][i / 2] >> i % 2 * 16);
        left[at.column * kRows + at.row] = value_of(reinterpret_cast<const char*>(&bits), p.kind_a);
      }
  } else {
    load(a, p.kind_a, warp * kRows, kRows, left, kRows, op.at);
  }
  load(b, p.kind_b, 0, p.n, right, p.n, op.at);
  const auto each_sum = [&](auto f) {
    for (int l = 0; l < kLanes; ++l)
      for (int i = 0; i < to.registers; ++i) {
        const Element at = wgmma_d(l, i);
        f(to.value[l * to.registers + i], sums[at.row * p.n + at.column]);
      }
  };
  std::fill(sums, sums + kRows * p.n, 0.0f);
  if (!whole && p.accumulate) each_sum([](uint32_t d, float& sum) { sum = float_of(d); });
  add(p, k, left, right, sums);
  each_sum([&](uint32_t& d, float sum) {
    if (whole) d = static_cast<uint32_t>(static_cast<int32_t>(sum)) + (p.accumulate ? d : 0);  // 32 products: exact
    else d = bits_of(sum);
  });
}

// Runs the next group of a warp.  The operands are checked with the knowledge at the time of the instruction.
void run_next(WarpGroup& group, int warp, Block& block) {
  WarpState& w = group.warps[warp];
  Group& next = group.groups[w.ran++];
  for (const Operation& op : next.operations[warp]) {
    for (int l = 0; op.product.a_in_registers && l < kLanes; ++l)
      if (std::memcmp(op.a[l], op.a_was[l], 16) != 0)
        fail(op.at, "the registers of A were written to while the wgmma that reads them was under way");
    const Operand a = operand_of(op.product.a, op.product.a_mn_major, block.rank);
    const Operand b = operand_of(op.product.b, op.product.b_mn_major, block.rank);
    execute(op, a, b, warp, w.accumulators.at(op.accumulator));
  }
  ++next.ran;
  group.wake_all();
}

struct LaneArgument {
  const Product* product;
  char* d;
  const uint32_t* a;
};

const std::vector<uint32_t>& poison() {
  static const std::vector<uint32_t> registers(128, kPoison);
  return registers;
}

bool poisoned(const Accumulator& a) {
  for (const char* d : a.d)
    if (std::memcmp(d, poison().data(), a.registers * 4) != 0) return false;
  return true;
}

// The accumulator in these registers: one in flight, else a new one.
int accumulator_of(WarpState& w, void* const* lanes, int registers, Place at) {
  char* const first = static_cast<LaneArgument*>(lanes[0])->d;
  for (auto& [number, a] : w.accumulators) {
    if (a.d[0] + a.registers * 4 <= first || first + registers * 4 <= a.d[0]) continue;
    if (a.d[0] != first || a.registers != registers)
      fail(at, "the accumulators of this wgmma are in part those of the one at line %d, which is under way", a.at.line);
    if (!poisoned(a)) fail(at, "accumulators were written to while the wgmma at line %d was under way", a.at.line);
    return number;
  }
  if (!w.fenced) fail(at, "registers may have been written since the last wgmma_fence: it is missing here");
  Accumulator& a = w.accumulators[w.next];
  a.registers = registers;
  a.value.resize(static_cast<size_t>(kLanes) * registers);
  for (int l = 0; l < kLanes; ++l) {
    a.d[l] = static_cast<LaneArgument*>(lanes[l])->d;
    std::memcpy(&a.value[static_cast<size_t>(l) * registers], a.d[l], registers * 4);
    std::memcpy(a.d[l], poison().data(), registers * 4);
  }
  return w.next++;
}

// The knowledge of the warp, by which its reads are checked.
Agent warp_agent(const WarpGroup& group, const WarpState& w, const Block& block, int first) {
  Gathered known;
  for (int l = 0; l < kLanes; ++l)
    known.add(block.threads[first + l].known, block.threads[first + l].id, block.threads[first + l].own);
  return {group.agent, w.committed + 1, known.take(), true};
}

// The four warps of a warpgroup must put the same operations into a group.
void check_alike(const Group& g, Place at) {
  for (int warp = 1; warp < kWarps; ++warp) {
    const auto &x = g.operations[0], &y = g.operations[warp];
    if (x.size() != y.size())
      fail(at, "warp 0 of the warpgroup has %zu wgmma in this group, and warp %d %zu", x.size(), warp, y.size());
    for (size_t i = 0; i < x.size(); ++i)
      if (!(x[i].product == y[i].product) || x[i].at.line != y[i].at.line)
        fail(y[i].at, "warp %d of the warpgroup executes another wgmma here than warp 0 at line %d", warp,
             x[i].at.line);
  }
}

constexpr uint64_t kAll = 0xffffffff;

}  // namespace

void wgmma(const Product& product, void* d, const uint32_t* a, Place at) {
  WarpGroup& group = my_group(at);
  WarpState& w = group.warps[my_warp()];
  LaneArgument mine{&product, static_cast<char*>(d), a};
  collective(kAll, &mine, at, [&](void* const* lanes) {
    for (int l = 1; l < kLanes; ++l)
      if (!(*static_cast<LaneArgument*>(lanes[l])->product == *static_cast<LaneArgument*>(lanes[0])->product))
        fail(at, "lane %d executes another wgmma than lane 0: descriptors and scale-d are alike in a warpgroup", l);
    if (product.a_in_registers && !w.fenced)
      fail(at, "registers may have been written since the last wgmma_fence: it is missing here");
    Operation op{product, accumulator_of(w, lanes, product.n / 2, at), {}, {}, at};
    Accumulator& to = w.accumulators.at(op.accumulator);
    to.group = w.committed;
    to.at = at;
    Block& block = *self().block;
    const int warp = my_warp();
    name_agent(group.agent, text_of(at) + " of warpgroup " + std::to_string(self().number / (kLanes * kWarps)));
    const Agent agent = warp_agent(group, w, block, self().number / kLanes * kLanes);
    const Operand b = operand_of(product.b, product.b_mn_major, block.rank);
    check_descriptor(product.b, b, at);
    watch(b, 0, product.n, agent, at);
    if (product.a_in_registers) {
      for (int l = 0; l < kLanes; ++l) {
        op.a[l] = static_cast<LaneArgument*>(lanes[l])->a;
        std::memcpy(op.a_was[l], op.a[l], sizeof op.a_was[l]);
      }
    } else {
      const Operand left = operand_of(product.a, product.a_mn_major, block.rank);
      check_descriptor(product.a, left, at);
      watch(left, warp * kRows, kRows, agent, at);
    }
    w.open.push_back(op);
  });
}

void wgmma_fence(Place at) {
  WarpState& w = my_group(at).warps[my_warp()];
  collective(kAll, nullptr, at, [&](void* const*) { w.fenced = true; });
}

void wgmma_commit_group(Place at) {
  WarpGroup& group = my_group(at);
  const int warp = my_warp();
  WarpState& w = group.warps[warp];
  collective(kAll, nullptr, at, [&](void* const*) {
    const uint32_t number = w.committed++;
    if (group.groups.size() <= number) group.groups.resize(number + 1);
    Group& g = group.groups[number];
    g.operations[warp] = std::move(w.open);
    w.open.clear();
    if (++g.committed == kWarps) check_alike(g, at);
    later([&group, warp, &block = *self().block] { run_next(group, warp, block); });
  });
}

void wgmma_wait_group(int left, Place at) {
  WarpGroup& group = my_group(at);
  WarpState& w = group.warps[my_warp()];
  collective(kAll, nullptr, at, [](void* const*) {});
  if (!w.open.empty()) fail(at, "a wait with a wgmma in no group: wgmma_commit_group is missing before it");
  const uint32_t upto = w.committed > static_cast<uint32_t>(left) ? w.committed - left : 0;
  while (!group.done(upto)) {
    group.waiting.push_back(&self());
    wait(at);
  }
  if (upto) acquire(group.agent, upto);
  if (w.waited >= upto) return;  // an earlier lane has done the rest for the warp
  w.waited = upto;
  for (auto it = w.accumulators.begin(); it != w.accumulators.end();) {
    Accumulator& a = it->second;
    if (a.group >= upto) {
      ++it;
      continue;
    }
    if (!poisoned(a)) fail(at, "accumulators were written to while the wgmma at line %d was under way", a.at.line);
    for (int l = 0; l < kLanes; ++l)
      std::memcpy(a.d[l], &a.value[static_cast<size_t>(l) * a.registers], a.registers * 4);
    it = w.accumulators.erase(it);
  }
  if (w.accumulators.empty()) w.fenced = false;
}

}  // namespace gpukern::model
