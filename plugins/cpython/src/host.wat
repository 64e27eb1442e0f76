;; CPython as a tool. Its build runs code that it is handed in `turn`, and can call its host: `cpython`
;; below hands it the driver, which asks for the code of the call and gives back what came of it.
;;
;; The adapter shares CPython's memory: what it needs for itself it asks CPython for.
(module
  (import "env" "memory" (memory 0))
  (import "__main_module__" "turn" (func $turn (param i32 i32) (result i32)))
  (import "__main_module__" "host_alloc" (func $host-alloc (param i32) (result i32)))

  ;; Where the code is, and how long.
  (global $code (mut i32) (i32.const 0))
  (global $code-length (mut i32) (i32.const 0))
  ;; What the driver gave back; 0 before.
  (global $result (mut i32) (i32.const 0))

  ;; New memory. That there is none ends the call.
  (func $new (param $size i32) (result i32) (local $at i32)
    (local.set $at (call $host-alloc (i32.add (local.get $size) (i32.const 8))))
    (if (i32.eqz (local.get $at)) (then unreachable))
    (i32.and (i32.add (local.get $at) (i32.const 7)) (i32.const -8)))

  ;; The host puts the code there. It never grows what it has.
  (func (export "cabi_realloc") (param $old i32) (param i32 i32) (param $size i32) (result i32)
    (if (local.get $old) (then unreachable))
    (call $new (local.get $size)))

  (func $copied (param $from i32) (param $size i32) (result i32) (local $to i32)
    (local.set $to (call $new (local.get $size)))
    (memory.copy (local.get $to) (local.get $from) (local.get $size))
    (local.get $to))

  ;; What the driver asks of its host: with nothing it asks for the code, else it gives the result. The
  ;; answer is CPython's to free.
  (func (export "call") (param $at i32) (param $size i32) (param $to i32) (param $to-size i32) (result i32)
    (local $answer i32) (local $length i32)
    (if (local.get $size)
      (then (global.set $result (call $copied (local.get $at) (local.get $size))))
      (else (local.set $length (global.get $code-length))))
    (local.set $answer (call $host-alloc (i32.add (local.get $length) (i32.const 1))))
    (if (i32.eqz (local.get $answer)) (then (return (i32.const -2))))
    (memory.copy (local.get $answer) (global.get $code) (local.get $length))
    (i32.store (local.get $to) (local.get $answer))
    (i32.store (local.get $to-size) (local.get $length))
    (i32.const 0))

  ;; Runs the code. The driver writes the result as the component model lays it out, with addresses that
  ;; count from its beginning: the case, 0 for `ok` and 1 for `err`, a text, and of `ok` the pictures.
  (func (export "cpython") (param $at i32) (param $length i32) (result i32)
    (local $driver i32) (local $size i32) (local $base i32) (local $left i32)
    (global.set $code (local.get $at))
    (global.set $code-length (local.get $length))
    (local.set $size (call $text-driver (i32.const 0)))
    (local.set $driver (call $new (local.get $size)))
    (drop (call $text-driver (local.get $driver)))
    (drop (call $turn (local.get $driver) (local.get $size)))
    (if (i32.eqz (global.get $result))
      (then
        (local.set $size (call $text-ended (i32.const 0)))
        (local.set $base (call $new (i32.add (local.get $size) (i32.const 12))))
        (i32.store (local.get $base) (i32.const 1))
        (i32.store offset=4 (local.get $base) (i32.add (local.get $base) (i32.const 12)))
        (i32.store offset=8 (local.get $base) (local.get $size))
        (drop (call $text-ended (i32.add (local.get $base) (i32.const 12))))
        (return (local.get $base))))
    (local.set $base (global.get $result))
    (call $move (i32.add (local.get $base) (i32.const 4)))
    (if (i32.eqz (i32.load (local.get $base)))
      (then
        (local.set $left (i32.mul (i32.load offset=16 (local.get $base)) (i32.const 3)))
        (call $move (i32.add (local.get $base) (i32.const 12)))
        ;; A picture is three texts.
        (local.set $at (i32.load offset=12 (local.get $base)))
        (block $done
          (loop $next
            (br_if $done (i32.eqz (local.get $left)))
            (call $move (local.get $at))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (local.set $left (i32.sub (local.get $left) (i32.const 1)))
            (br $next)))))
    (local.get $base))

  ;; Makes an address in the result one of the memory.
  (func $move (param $at i32)
    (i32.store (local.get $at) (i32.add (i32.load (local.get $at)) (global.get $result)))))
