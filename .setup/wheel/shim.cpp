// What headers of newer compilers call and the libraries of manylinux_2_28 do not have, under the names
// that those calls go by. It is in the program itself, and hidden: no other library is given any of it.
#include <new>
#include <sstream>

#define STANDS_FOR(symbol) __asm__(symbol) __attribute__((visibility("hidden")))

// std::__throw_bad_array_new_length, which libstdc++ has from GCC 11.
[[noreturn]] void throw_bad_array_new_length() STANDS_FOR("_ZSt28__throw_bad_array_new_lengthv");
void throw_bad_array_new_length() { throw std::bad_array_new_length(); }

// std::ostringstream(), which libstdc++ has from GCC 9. Older programs call the one that is told to write.
void make_text(void *place) STANDS_FOR("_ZNSt7__cxx1119basic_ostringstreamIcSt11char_traitsIcESaIcEEC1Ev");
void make_text(void *place) { new (place) std::ostringstream(std::ios_base::out); }

// Whether reference counts can do without atomic operations, which glibc tells from 2.32. Never, then.
extern "C" {
extern char __libc_single_threaded STANDS_FOR("__libc_single_threaded");
char __libc_single_threaded = 0;
}
