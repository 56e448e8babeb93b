// One ELF image per reason to refuse one (CMakeLists.txt picks by macro).
#include <stdint.h>

#if defined(IMPORTS)
void elsewhere(void);
void kernel(void) { elsewhere(); }
#elif defined(WRITABLE)
int counter = 3;
void kernel(void) { ++counter; }
#elif defined(RELOCATED)
void kernel(void) {}
void (*const table[])(void) = {kernel};
#elif defined(CONSTRUCTOR)
void kernel(void) {}
__attribute__((constructor)) static void early(void) { __asm__ volatile("nop"); }
#elif defined(THREAD_LOCAL)
static _Thread_local int mine;
int kernel(void) { return ++mine; }
#endif
