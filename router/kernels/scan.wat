;; Compares a query with thousands of residual-quantised codes, sixteen at a time: its dot products with the 16 centroids
;; of a level fill two registers (low and high bytes), in which the codes' digits look them up (the fast scan of André,
;; Kermarrec & Le Scouarnec 2015).
;;
;; A block holds sixteen codes in 288 bytes:
;;     0  14 levels × 16 digits, a byte each; 255, which looks up zero, where a short code has none
;;   224  16 × float32: 1 / length of the reconstruction; NaN for an empty place, which is like nothing
(module
  (memory (export "memory") 1)

  ;; Writes (place, similarity) of those lanes that `bits` names; returns where the next goes.
  (func $emit (param $out i32) (param $place i32) (param $v v128) (param $bits i32) (result i32)
    (if (i32.and (local.get $bits) (i32.const 1)) (then
      (i32.store (local.get $out) (local.get $place))
      (f32.store offset=4 (local.get $out) (f32x4.extract_lane 0 (local.get $v)))
      (local.set $out (i32.add (local.get $out) (i32.const 8)))))
    (if (i32.and (local.get $bits) (i32.const 2)) (then
      (i32.store (local.get $out) (i32.add (local.get $place) (i32.const 1)))
      (f32.store offset=4 (local.get $out) (f32x4.extract_lane 1 (local.get $v)))
      (local.set $out (i32.add (local.get $out) (i32.const 8)))))
    (if (i32.and (local.get $bits) (i32.const 4)) (then
      (i32.store (local.get $out) (i32.add (local.get $place) (i32.const 2)))
      (f32.store offset=4 (local.get $out) (f32x4.extract_lane 2 (local.get $v)))
      (local.set $out (i32.add (local.get $out) (i32.const 8)))))
    (if (i32.and (local.get $bits) (i32.const 8)) (then
      (i32.store (local.get $out) (i32.add (local.get $place) (i32.const 3)))
      (f32.store offset=4 (local.get $out) (f32x4.extract_lane 3 (local.get $v)))
      (local.set $out (i32.add (local.get $out) (i32.const 8)))))
    (local.get $out))

  ;; `block`, `end`: where a cell's blocks begin and end, at least one; `table`: 14 × 16 low bytes, then 14 × 16 high bytes of int16 dot products;
  ;; `scale`: what one of them stands for; `base`: the dot product with the cell's centroid.
  ;; Writes the place and the similarity, u32 and float32, of each code that is at least so similar, from `out` on;
  ;; returns the address behind the last.
  (func (export "scan")
    (param $block i32) (param $end i32) (param $table i32) (param $scale f32) (param $base f32) (param $least f32) (param $out i32)
    (result i32)
    (local $first v128) (local $last v128) (local $low v128) (local $high v128) (local $digits v128)
    (local $v v128) (local $scales v128) (local $bases v128) (local $leasts v128)
    (local $level i32) (local $place i32) (local $bits i32)
    (local.set $scales (f32x4.splat (local.get $scale)))
    (local.set $bases (f32x4.splat (local.get $base)))
    (local.set $leasts (f32x4.splat (local.get $least)))
    (loop $next
      (local.set $first (v128.const i32x4 0 0 0 0))
      (local.set $last (v128.const i32x4 0 0 0 0))
      (local.set $level (i32.const 0))
      (loop $levels
        (local.set $digits (v128.load (i32.add (local.get $block) (local.get $level))))
        (local.set $low
          (i8x16.swizzle (v128.load (i32.add (local.get $table) (local.get $level))) (local.get $digits)))
        (local.set $high
          (i8x16.swizzle (v128.load offset=224 (i32.add (local.get $table) (local.get $level))) (local.get $digits)))
        (local.set $first (i16x8.add (local.get $first)
          (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $low) (local.get $high))))
        (local.set $last (i16x8.add (local.get $last)
          (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $low) (local.get $high))))
        (local.set $level (i32.add (local.get $level) (i32.const 16)))
        (br_if $levels (i32.lt_u (local.get $level) (i32.const 224))))

      (local.set $v (f32x4.mul (v128.load offset=224 (local.get $block))
        (f32x4.add (local.get $bases) (f32x4.mul (local.get $scales)
          (f32x4.convert_i32x4_s (i32x4.extend_low_i16x8_s (local.get $first)))))))
      (local.set $bits (i32x4.bitmask (f32x4.ge (local.get $v) (local.get $leasts))))
      (if (local.get $bits)
        (then (local.set $out (call $emit (local.get $out) (local.get $place) (local.get $v) (local.get $bits)))))

      (local.set $v (f32x4.mul (v128.load offset=240 (local.get $block))
        (f32x4.add (local.get $bases) (f32x4.mul (local.get $scales)
          (f32x4.convert_i32x4_s (i32x4.extend_high_i16x8_s (local.get $first)))))))
      (local.set $bits (i32x4.bitmask (f32x4.ge (local.get $v) (local.get $leasts))))
      (if (local.get $bits)
        (then (local.set $out
          (call $emit (local.get $out) (i32.add (local.get $place) (i32.const 4)) (local.get $v) (local.get $bits)))))

      (local.set $v (f32x4.mul (v128.load offset=256 (local.get $block))
        (f32x4.add (local.get $bases) (f32x4.mul (local.get $scales)
          (f32x4.convert_i32x4_s (i32x4.extend_low_i16x8_s (local.get $last)))))))
      (local.set $bits (i32x4.bitmask (f32x4.ge (local.get $v) (local.get $leasts))))
      (if (local.get $bits)
        (then (local.set $out
          (call $emit (local.get $out) (i32.add (local.get $place) (i32.const 8)) (local.get $v) (local.get $bits)))))

      (local.set $v (f32x4.mul (v128.load offset=272 (local.get $block))
        (f32x4.add (local.get $bases) (f32x4.mul (local.get $scales)
          (f32x4.convert_i32x4_s (i32x4.extend_high_i16x8_s (local.get $last)))))))
      (local.set $bits (i32x4.bitmask (f32x4.ge (local.get $v) (local.get $leasts))))
      (if (local.get $bits)
        (then (local.set $out
          (call $emit (local.get $out) (i32.add (local.get $place) (i32.const 12)) (local.get $v) (local.get $bits)))))

      (local.set $place (i32.add (local.get $place) (i32.const 16)))
      (local.set $block (i32.add (local.get $block) (i32.const 288)))
      (br_if $next (i32.lt_u (local.get $block) (local.get $end))))
    (local.get $out)))
