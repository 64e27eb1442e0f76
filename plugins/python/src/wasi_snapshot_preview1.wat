;; MicroPython as a tool. Its build is a program for WASI 0.1: `python` below runs it once, with the
;; driver as its `-c` argument and the code as a variable of its environment, and gives what it writes.
;; Of WASI there are the arguments, the environment, the clocks, random numbers and the output. All
;; else, such as files, is answered with an error.
;;
;; The adapter shares MicroPython's memory: what it needs for itself it asks for, a page or more.
(module
  (import "env" "memory" (memory 0))
  (import "__main_module__" "_start" (func $main))
  (import "lucid:tool/diagnostics@1.0.0" "report" (func $report (param i32 i32)))
  (import "wasi:clocks/wall-clock@0.2.12" "now" (func $wall-now (param i32)))
  (import "wasi:clocks/monotonic-clock@0.2.12" "now" (func $monotonic-now (result i64)))
  (import "wasi:random/random@0.2.12" "get-random-u64" (func $random (result i64)))

  ;; Where the code is, and how long.
  (global $code (mut i32) (i32.const 0))
  (global $code-length (mut i32) (i32.const 0))
  ;; Where the output is, how much of it is kept, the byte that came last, and whether more came than
  ;; there is room for.
  (global $out (mut i32) (i32.const 0))
  (global $kept (mut i32) (i32.const 0))
  (global $last (mut i32) (i32.const 0))
  (global $is-cut (mut i32) (i32.const 0))
  ;; Where the clock and the result are written.
  (global $scratch (mut i32) (i32.const 0))

  ;; New memory. That there is none ends the call.
  (func $new (param $size i32) (result i32) (local $page i32)
    (local.set $page
      (memory.grow (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1))))
    (if (i32.eq (local.get $page) (i32.const -1)) (then unreachable))
    (i32.shl (local.get $page) (i32.const 16)))

  ;; The host puts the code there. It never grows what it has.
  (func (export "cabi_realloc") (param $old i32) (param i32 i32) (param $size i32) (result i32)
    (if (local.get $old) (then unreachable))
    (call $new (local.get $size)))

  ;; Runs the code. The result is the case, 0 for `ok` and 1 for `err`, and a text.
  (func (export "python") (param $code i32) (param $length i32) (result i32) (local $size i32)
    (global.set $code (local.get $code))
    (global.set $code-length (local.get $length))
    (global.set $out (call $new (i32.const 49152)))
    (global.set $scratch (call $new (i32.const 16)))
    (if (call $has-zero (local.get $code) (local.get $length))
      (then (local.set $size (call $text-zero (global.get $out))))
      (else
        (call $main)
        (local.set $size (call $finished))))
    (i32.store (global.get $scratch) (i32.ne (global.get $last) (i32.const 79))) ;; O
    (i32.store offset=4 (global.get $scratch) (global.get $out))
    (i32.store offset=8 (global.get $scratch) (local.get $size))
    (global.get $scratch))

  ;; A variable of the environment ends at a zero.
  (func $has-zero (param $at i32) (param $length i32) (result i32) (local $end i32)
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (if (i32.eqz (i32.load8_u (local.get $at))) (then (return (i32.const 1))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (i32.const 0))

  ;; The output made a text: without the driver's last byte and the end of the last line, or with a
  ;; note that it is cut. Gives its length.
  (func $finished (result i32) (local $size i32)
    (local.set $size (global.get $kept))
    (if (global.get $is-cut)
      (then
        (call $valid (local.get $size))
        (return
          (i32.add (local.get $size) (call $text-cut (i32.add (global.get $out) (local.get $size)))))))
    (if (local.get $size)
      (then (local.set $size (i32.sub (local.get $size) (i32.const 1)))))
    (if (local.get $size)
      (then
        (if (i32.eq
              (i32.load8_u (i32.sub (i32.add (global.get $out) (local.get $size)) (i32.const 1)))
              (i32.const 10))
          (then (local.set $size (i32.sub (local.get $size) (i32.const 1)))))))
    (call $valid (local.get $size))
    (local.get $size))

  ;; Puts `?` for each byte that is no UTF-8: the host takes nothing else for a text.
  (func $valid (param $size i32) (local $at i32) (local $end i32) (local $long i32)
    (local.set $at (global.get $out))
    (local.set $end (i32.add (global.get $out) (local.get $size)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $long (call $character (local.get $at) (local.get $end)))
        (if (i32.eqz (local.get $long))
          (then
            (i32.store8 (local.get $at) (i32.const 63))
            (local.set $long (i32.const 1))))
        (local.set $at (i32.add (local.get $at) (local.get $long)))
        (br $next))))

  ;; The length of the character at an address, or 0 where there is none.
  ;; Source: The Unicode Standard, table 3-7, well-formed UTF-8 byte sequences.
  (func $character (param $at i32) (param $end i32) (result i32)
    (local $first i32) (local $low i32) (local $high i32) (local $long i32) (local $n i32)
    (local.set $first (i32.load8_u (local.get $at)))
    (if (i32.lt_u (local.get $first) (i32.const 0x80)) (then (return (i32.const 1))))
    (if (i32.or
          (i32.lt_u (local.get $first) (i32.const 0xc2))
          (i32.gt_u (local.get $first) (i32.const 0xf4)))
      (then (return (i32.const 0))))
    (local.set $long
      (i32.add
        (i32.const 2)
        (i32.add
          (i32.ge_u (local.get $first) (i32.const 0xe0))
          (i32.ge_u (local.get $first) (i32.const 0xf0)))))
    (if (i32.gt_u (local.get $long) (i32.sub (local.get $end) (local.get $at)))
      (then (return (i32.const 0))))
    ;; The second byte has narrower bounds after some first ones.
    (local.set $low (i32.const 0x80))
    (local.set $high (i32.const 0xbf))
    (if (i32.eq (local.get $first) (i32.const 0xe0)) (then (local.set $low (i32.const 0xa0))))
    (if (i32.eq (local.get $first) (i32.const 0xed)) (then (local.set $high (i32.const 0x9f))))
    (if (i32.eq (local.get $first) (i32.const 0xf0)) (then (local.set $low (i32.const 0x90))))
    (if (i32.eq (local.get $first) (i32.const 0xf4)) (then (local.set $high (i32.const 0x8f))))
    (local.set $n (i32.const 1))
    (loop $next
      (local.set $first (i32.load8_u (i32.add (local.get $at) (local.get $n))))
      (if (i32.or
            (i32.lt_u (local.get $first) (local.get $low))
            (i32.gt_u (local.get $first) (local.get $high)))
        (then (return (i32.const 0))))
      (local.set $low (i32.const 0x80))
      (local.set $high (i32.const 0xbf))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $n) (local.get $long))))
    (local.get $long))

  ;; Keeps a part of the output, as far as there is room.
  (func $keep (param $from i32) (param $size i32) (local $room i32)
    (if (i32.eqz (local.get $size)) (then (return)))
    (global.set $last
      (i32.load8_u (i32.sub (i32.add (local.get $from) (local.get $size)) (i32.const 1))))
    (local.set $room (i32.sub (i32.const 49000) (global.get $kept)))
    (if (i32.gt_u (local.get $size) (local.get $room))
      (then
        (global.set $is-cut (i32.const 1))
        (local.set $size (local.get $room))))
    (memory.copy
      (i32.add (global.get $out) (global.get $kept)) (local.get $from) (local.get $size))
    (global.set $kept (i32.add (global.get $kept) (local.get $size))))

  ;; Four arguments after the program's name: `m`, `-X`, `heapsize=48m`, `-c`, the driver.
  (func (export "args_sizes_get") (param $count i32) (param $size i32) (result i32)
    (i32.store (local.get $count) (i32.const 5))
    (i32.store (local.get $size) (i32.add (i32.const 22) (call $text-driver (i32.const 0))))
    (i32.const 0))
  (func (export "args_get") (param $list i32) (param $at i32) (result i32)
    (i32.store (local.get $list) (local.get $at))
    (i32.store offset=4 (local.get $list) (i32.add (local.get $at) (i32.const 2)))
    (i32.store offset=8 (local.get $list) (i32.add (local.get $at) (i32.const 5)))
    (i32.store offset=12 (local.get $list) (i32.add (local.get $at) (i32.const 18)))
    (i32.store offset=16 (local.get $list) (i32.add (local.get $at) (i32.const 21)))
    (i64.store (local.get $at) (i64.const 7018129945015418989)) ;; m, 0, -X, 0, hea
    (i64.store offset=8 (local.get $at) (i64.const 4049929470967640944)) ;; psize=48
    (i64.store offset=13 (local.get $at) (i64.const 27915502550004797)) ;; =48m, 0, -c, 0
    (local.set $at (i32.add (local.get $at) (i32.const 21)))
    (i32.store8 (i32.add (local.get $at) (call $text-driver (local.get $at))) (i32.const 0))
    (i32.const 0))

  ;; One variable: `C`, the code.
  (func (export "environ_sizes_get") (param $count i32) (param $size i32) (result i32)
    (i32.store (local.get $count) (i32.const 1))
    (i32.store (local.get $size) (i32.add (i32.const 3) (global.get $code-length)))
    (i32.const 0))
  (func (export "environ_get") (param $list i32) (param $at i32) (result i32)
    (i32.store (local.get $list) (local.get $at))
    (i32.store16 (local.get $at) (i32.const 0x3d43)) ;; C=
    (local.set $at (i32.add (local.get $at) (i32.const 2)))
    (memory.copy (local.get $at) (global.get $code) (global.get $code-length))
    (i32.store8 (i32.add (local.get $at) (global.get $code-length)) (i32.const 0))
    (i32.const 0))

  ;; 0 is the clock on the wall, all others only go on.
  (func (export "clock_time_get") (param $clock i32) (param i64) (param $to i32) (result i32)
    (if (local.get $clock)
      (then (i64.store (local.get $to) (call $monotonic-now)))
      (else
        (call $wall-now (global.get $scratch))
        (i64.store (local.get $to)
          (i64.add
            (i64.mul (i64.load (global.get $scratch)) (i64.const 1000000000))
            (i64.load32_u offset=8 (global.get $scratch))))))
    (i32.const 0))

  ;; Input, 0, is at its end. 4 is what there is of files: bytes by chance.
  (func (export "fd_read")
    (param $file i32) (param $part i32) (param $parts i32) (param $read i32) (result i32)
    (local $at i32) (local $size i32)
    (i32.store (local.get $read) (i32.const 0))
    (if (i32.or (i32.ne (local.get $file) (i32.const 4)) (i32.eqz (local.get $parts)))
      (then (return (i32.const 0))))
    (local.set $at (i32.load (local.get $part)))
    (local.set $size (i32.load offset=4 (local.get $part)))
    (i32.store (local.get $read) (local.get $size))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $size)))
        (i64.store8 (local.get $at) (call $random))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $size (i32.sub (local.get $size) (i32.const 1)))
        (br $next)))
    (i32.const 0))
  ;; Output is kept.
  (func (export "fd_write")
    (param i32) (param $part i32) (param $parts i32) (param $written i32) (result i32)
    (local $all i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $parts)))
        (call $keep (i32.load (local.get $part)) (i32.load offset=4 (local.get $part)))
        (local.set $all (i32.add (local.get $all) (i32.load offset=4 (local.get $part))))
        (local.set $part (i32.add (local.get $part) (i32.const 8)))
        (local.set $parts (i32.sub (local.get $parts) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $written) (local.get $all))
    (i32.const 0))
  (func (export "fd_close") (param i32) (result i32) (i32.const 0))
  (func (export "fd_sync") (param i32) (result i32) (i32.const 0))
  (func (export "sched_yield") (result i32) (i32.const 0))
  ;; 0 to 2 are terminals (2), to which nothing is held back, and 3 is a folder (3).
  (func (export "fd_fdstat_get") (param $file i32) (param $to i32) (result i32)
    (if (i32.gt_u (local.get $file) (i32.const 4)) (then (return (i32.const 8))))
    (i64.store (local.get $to)
      (select (i64.const 3) (i64.const 2) (i32.eq (local.get $file) (i32.const 3))))
    (i64.store offset=8 (local.get $to) (i64.const -1))
    (i64.store offset=16 (local.get $to) (i64.const -1))
    (i32.const 0))

  ;; MicroPython begins its random numbers with `/dev/random` and cannot do without: it is in the
  ;; folder 3, `/`, alone, and 4 when it is open.
  (func (export "fd_prestat_get") (param $file i32) (param $to i32) (result i32)
    (if (i32.ne (local.get $file) (i32.const 3)) (then (return (i32.const 8))))
    (i32.store (local.get $to) (i32.const 0))
    (i32.store offset=4 (local.get $to) (i32.const 1))
    (i32.const 0))
  (func (export "fd_prestat_dir_name") (param i32) (param $to i32) (param i32) (result i32)
    (i32.store8 (local.get $to) (i32.const 47))
    (i32.const 0))
  (func (export "path_open")
    (param i32 i32) (param $path i32) (param $length i32) (param i32 i64 i64 i32) (param $file i32)
    (result i32)
    (if (i32.ne (local.get $length) (i32.const 10)) (then (return (i32.const 44))))
    (if (i64.ne (i64.load (local.get $path)) (i64.const 0x646e61722f766564)) ;; dev/rand
      (then (return (i32.const 44))))
    (if (i32.ne (i32.load offset=6 (local.get $path)) (i32.const 0x6d6f646e)) ;; ndom
      (then (return (i32.const 44))))
    (i32.store (local.get $file) (i32.const 4))
    (i32.const 0))

  ;; No such file (8 by its number, 44 by its name), no seeking (70), nothing to wait for (52), no
  ;; right (76).
  (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 70))
  (func (export "poll_oneoff") (param i32 i32 i32 i32) (result i32) (i32.const 52))
  (func (export "path_create_directory") (param i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32) (i32.const 44))
  (func (export "path_readlink") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_remove_directory") (param i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_unlink_file") (param i32 i32 i32) (result i32) (i32.const 76))
  ;; The driver catches all that ends a program. Should it fail itself, what it said goes to whoever
  ;; reads the error.
  (func (export "proc_exit") (param i32)
    (call $valid (global.get $kept))
    (call $report (global.get $out) (global.get $kept))
    unreachable)
)
