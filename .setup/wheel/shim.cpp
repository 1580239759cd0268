// What headers of newer compilers call and the libraries of manylinux_2_28 do not have. In the program
// itself, and hidden, so that no other library is given these.
#include <new>

#define HIDDEN __attribute__((visibility("hidden")))

// libstdc++ has it from GCC 11.
namespace std {
HIDDEN void __throw_bad_array_new_length() { throw bad_array_new_length(); }
} // namespace std

// glibc has it from 2.32: whether reference counts may be counted without atomics. Never, then.
extern "C" {
extern HIDDEN char __libc_single_threaded;
char __libc_single_threaded = 0;
}
