// The small layer between a plugin's functions and the component that they become. The types and
// names in `bindings/` are written by `lucid plugin build`, from `wit/world.wit`.
//
// Each call has a memory of its own, which ends with it: nothing has to be freed.
#ifndef LUCID_H
#define LUCID_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

// Memory for a result. The call ends when there is none.
static inline void *lucid_memory(size_t bytes) {
    void *memory = malloc(bytes > 0 ? bytes : 1);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

// A string as C knows it, with a zero at its end.
static inline char *lucid_text(const plugin_string_t *string) {
    char *text = lucid_memory(string->len + 1);
    if (string->len > 0) {
        memcpy(text, string->ptr, string->len);
    }
    text[string->len] = '\0';
    return text;
}

static inline void lucid_format(plugin_string_t *into, const char *format, va_list values) {
    va_list again;
    va_copy(again, values);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0) {
        abort();
    }
    char *text = lucid_memory((size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, values);
    into->ptr = (uint8_t *)text;
    into->len = (size_t)length;
}

// Writes the result as `printf` would, and gives true: the function did well.
__attribute__((format(printf, 2, 3)))
static inline bool lucid_ok(plugin_string_t *ret, const char *format, ...) {
    va_list values;
    va_start(values, format);
    lucid_format(ret, format, values);
    va_end(values);
    return true;
}

// Writes the error that the model reads as `printf` would, and gives false.
__attribute__((format(printf, 2, 3)))
static inline bool lucid_error(plugin_string_t *err, const char *format, ...) {
    va_list values;
    va_start(values, format);
    lucid_format(err, format, values);
    va_end(values);
    return false;
}

#endif
