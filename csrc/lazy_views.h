// Tensors with the negative or conjugate bit, in ops that write into an argument.
#pragma once

namespace torch {
class Library;
}

namespace gpukern {

// Implements the dispatch key `Negative` or `Conjugate` for every op of ours that is already defined and writes into an
// argument, except those whose kernels handle such tensors.  Every file that defines ops calls these functions.
void implement_negative(torch::Library& m);
void implement_conjugate(torch::Library& m);

}  // namespace gpukern
