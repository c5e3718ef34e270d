// Registration: a file lists its ops once, each with its schema and its kernel for every dispatch key, and a Registrar
// takes from the list what belongs to the key that its library is for.
#pragma once
#include <torch/library.h>

#include <string>
#include <type_traits>
#include <utility>

namespace gpukern::gemm {

// backend: CPU and CUDA.  elsewhere: tensors that no kernel here serves.  inplace: ADInplaceOrView, which counts the
// versions of written tensors.  conjugate: products read lazy conjugates, so the key falls through for them.
enum class Key { schema, backend, elsewhere, autograd, inplace, batching, conjugate };

// The kernels of an op, in the order of the keys; nullptr where it has none.
template <class Backend, class Elsewhere, class Autograd, class Inplace, class Batching> struct Kernels {
  Backend backend;
  Elsewhere elsewhere;
  Autograd autograd;
  Inplace inplace;
  Batching batching;
};

class Registrar {
 public:
  Registrar(torch::Library& library, Key key) : library_(library), key_(key) {}

  template <class B, class E, class A, class I, class V>
  void op(const std::string& schema, Kernels<B, E, A, I, V> kernels) const {
    switch (key_) {
      case Key::schema: library_.def(schema.c_str()); break;
      case Key::backend: add(schema, std::move(kernels.backend)); break;
      case Key::elsewhere: add(schema, std::move(kernels.elsewhere)); break;
      case Key::autograd: add(schema, std::move(kernels.autograd)); break;
      case Key::inplace: add(schema, std::move(kernels.inplace)); break;
      case Key::batching: add(schema, std::move(kernels.batching)); break;
      case Key::conjugate: break;
    }
  }
  // An op that is made of other ops, under vmap too, where one without a rule would loop over the batch; its out= form
  // has none.
  template <class F> void composite(const std::string& schema, F* function) const {
    const std::string name = name_of(schema);
    if (key_ == Key::schema) library_.def(schema.c_str(), function);
    else if (key_ == Key::batching && !name.ends_with("out")) library_.impl(name.c_str(), function);
  }
  template <class F> void only(Key key, const char* name, F&& function) const {
    if (key_ == key) library_.impl(name, std::forward<F>(function));
  }
  void falls_through(Key key, const std::string& schema) const {
    if (key_ == key) library_.impl(name_of(schema).c_str(), torch::CppFunction::makeFallthrough());
  }

 private:
  static std::string name_of(const std::string& schema) { return schema.substr(0, schema.find('(')); }
  template <class F> void add(const std::string& schema, F&& function) const {
    if constexpr (!std::is_null_pointer_v<std::decay_t<F>>)
      library_.impl(name_of(schema).c_str(), std::forward<F>(function));
  }

  torch::Library& library_;
  Key key_;
};

// The lists of the files.
void add_products(const Registrar&);  // register.cpp
void add_matmul(const Registrar&);    // compose.cpp: matmul and linear
void add_wide(const Registrar&);
void add_family(const Registrar&);
void add_scaled(const Registrar&);
void add_fused(const Registrar&);
void add_training(const Registrar&);
void add_mlp(const Registrar&);

}  // namespace gpukern::gemm
