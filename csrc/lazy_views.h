// Tensors with the negative or the conjugate bit, in ops that write into an argument.
#pragma once

namespace torch {
class Library;
}

namespace gpukern {

// For the dispatch key `Negative` or `Conjugate`: every op of ours that is defined by now and writes into an argument,
// but for those whose kernels read and write such tensors as they are.  Every file that defines ops calls them.
void implement_negative(torch::Library& m);
void implement_conjugate(torch::Library& m);

}  // namespace gpukern
