;; Dot products of one vector with many rows, four at a time in float32. IEEE 754 and a fixed order: the same on every
;; machine.
(module
  (memory (export "memory") 1)

  (func $sum (param $v v128) (result f32)
    (f32.add
      (f32.add (f32x4.extract_lane 0 (local.get $v)) (f32x4.extract_lane 1 (local.get $v)))
      (f32.add (f32x4.extract_lane 2 (local.get $v)) (f32x4.extract_lane 3 (local.get $v)))))

  ;; `vector`, `rows`, `out`: addresses; `size`: bytes of a vector, a multiple of 16; `count`: rows, a multiple of 4.
  (func (export "dots") (param $vector i32) (param $size i32) (param $rows i32) (param $count i32) (param $out i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local $v v128) (local $at i32) (local $p i32)
    (loop $four
      (local.set $a (v128.const f32x4 0 0 0 0))
      (local.set $b (v128.const f32x4 0 0 0 0))
      (local.set $c (v128.const f32x4 0 0 0 0))
      (local.set $d (v128.const f32x4 0 0 0 0))
      (local.set $at (i32.const 0))
      (loop $next
        (local.set $v (v128.load (i32.add (local.get $vector) (local.get $at))))
        (local.set $p (i32.add (local.get $rows) (local.get $at)))
        (local.set $a (f32x4.add (local.get $a) (f32x4.mul (local.get $v) (v128.load (local.get $p)))))
        (local.set $p (i32.add (local.get $p) (local.get $size)))
        (local.set $b (f32x4.add (local.get $b) (f32x4.mul (local.get $v) (v128.load (local.get $p)))))
        (local.set $p (i32.add (local.get $p) (local.get $size)))
        (local.set $c (f32x4.add (local.get $c) (f32x4.mul (local.get $v) (v128.load (local.get $p)))))
        (local.set $p (i32.add (local.get $p) (local.get $size)))
        (local.set $d (f32x4.add (local.get $d) (f32x4.mul (local.get $v) (v128.load (local.get $p)))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br_if $next (i32.lt_u (local.get $at) (local.get $size))))
      (f32.store (local.get $out) (call $sum (local.get $a)))
      (f32.store offset=4 (local.get $out) (call $sum (local.get $b)))
      (f32.store offset=8 (local.get $out) (call $sum (local.get $c)))
      (f32.store offset=12 (local.get $out) (call $sum (local.get $d)))
      (local.set $out (i32.add (local.get $out) (i32.const 16)))
      (local.set $rows (i32.add (local.get $rows) (i32.shl (local.get $size) (i32.const 2))))
      (local.set $count (i32.sub (local.get $count) (i32.const 4)))
      (br_if $four (local.get $count)))))
