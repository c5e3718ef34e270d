// Which element of a matrix a register of a lane holds, for mma.sync and ldmatrix (PTX ISA, "Matrix fragments").
// As in the manual, g is lane / 4, the groupID, and t is lane % 4, the threadID_in_group.
#pragma once

namespace gpukern::model {

struct Element {
  int row, column;
};

// D and C of every m16n8 shape.
constexpr Element accumulator_m16n8(int lane, int i) { return {lane / 4 + i / 2 * 8, lane % 4 * 2 + i % 2}; }

// For 16-bit types: a register has two neighbours along k.
struct M16n8k16 {
  static constexpr int m = 16, n = 8, k = 16, elements_a = 8, elements_b = 4, elements_c = 4;
  static constexpr Element a(int lane, int i) { return {lane / 4 + i / 2 % 2 * 8, lane % 4 * 2 + i % 2 + i / 4 * 8}; }
  static constexpr Element b(int lane, int i) { return {lane % 4 * 2 + i % 2 + i / 2 * 8, lane / 4}; }
  static constexpr Element c(int lane, int i) { return accumulator_m16n8(lane, i); }
};

// For tf32.
struct M16n8k8 {
  static constexpr int m = 16, n = 8, k = 8, elements_a = 4, elements_b = 2, elements_c = 4;
  static constexpr Element a(int lane, int i) { return {lane / 4 + i % 2 * 8, lane % 4 + i / 2 * 4}; }
  static constexpr Element b(int lane, int i) { return {lane % 4 + i * 4, lane / 4}; }
  static constexpr Element c(int lane, int i) { return accumulator_m16n8(lane, i); }
};

// For 8-bit integers: a register has four neighbours along k.
struct M16n8k32 {
  static constexpr int m = 16, n = 8, k = 32, elements_a = 16, elements_b = 8, elements_c = 4;
  static constexpr Element a(int lane, int i) { return {lane / 4 + i / 4 % 2 * 8, lane % 4 * 4 + i % 4 + i / 8 * 16}; }
  static constexpr Element b(int lane, int i) { return {lane % 4 * 4 + i % 4 + i / 4 * 16, lane / 4}; }
  static constexpr Element c(int lane, int i) { return accumulator_m16n8(lane, i); }
};

// For double.
struct M8n8k4 {
  static constexpr int m = 8, n = 8, k = 4, elements_a = 1, elements_b = 1, elements_c = 2;
  static constexpr Element a(int lane, int) { return {lane / 4, lane % 4}; }
  static constexpr Element b(int lane, int) { return {lane % 4, lane / 4}; }
  static constexpr Element c(int lane, int i) { return {lane / 4, lane % 4 * 2 + i}; }
};
struct M16n8k16Double {
  static constexpr int m = 16, n = 8, k = 16, elements_a = 8, elements_b = 4, elements_c = 4;
  static constexpr Element a(int lane, int i) { return {lane / 4 + i % 2 * 8, lane % 4 + i / 2 * 4}; }
  static constexpr Element b(int lane, int i) { return {lane % 4 + i * 4, lane / 4}; }
  static constexpr Element c(int lane, int i) { return accumulator_m16n8(lane, i); }
};

// For ldmatrix and stmatrix: element `half` of the register of one 8 x 8 matrix of 16-bit elements, whose rows lie at
// the given addresses.
constexpr Element matrix_8x8(int lane, int half, bool transposed) {
  const int along = lane / 4, across = lane % 4 * 2 + half;
  return transposed ? Element{across, along} : Element{along, across};
}

}  // namespace gpukern::model
