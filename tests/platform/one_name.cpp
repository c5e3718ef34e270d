// Variables of one name in several libraries of a process, as the tables of kernels are in those of the tests.
inline int planted = PLANTED;

template <int> int* counter() {
  static int count = 0;
  return &count;
}

extern "C" int what_is_planted() { return planted; }
extern "C" int count_up() { return ++*counter<0>(); }
