// Not compiled as kernels are: the model shall not watch it.
namespace {
int on = 0;
}
extern "C" __attribute__((visibility("default"))) int gpukern_fault() { return on; }
extern "C" __attribute__((visibility("default"))) void gpukern_set_fault(int number) { on = number; }
