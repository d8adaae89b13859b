//! The loops of a transformer that are not matrix products. They are written so that the compiler makes vector
//! instructions of them, which calls of `exp` or `erf` would prevent.

/// `e^x` to about two units in the last place; 0 below −87, where softmax has long nothing left to say.
#[inline]
pub(super) fn exp(x: f32) -> f32 {
    // Cody and Waite: x = n·ln 2 + r with |r| ≤ ln 2 / 2, the polynomial is that of Cephes.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.0, 88.0);
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = clamped - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p * r + coefficient;
    }
    let power =
        f32::from_bits(shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23);
    (p * r * r + r + 1.0) * if x < -87.0 { 0.0 } else { power }
}

/// `x·Φ(x)`, the exact form, whose error function is 7.1.26 of Abramowitz and Stegun, good to 1.5e-7.
pub(super) fn gelu(values: &mut [f32]) {
    for x in values {
        let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
        let t = 1.0 / (1.0 + 0.327_591_1 * z);
        let p = ((((1.061_405_4 * t - 1.453_152) * t + 1.421_413_8) * t - 0.284_496_74) * t
            + 0.254_829_6)
            * t;
        let erf = (1.0 - p * exp(-z * z)).copysign(*x);
        *x *= 0.5 * (1.0 + erf);
    }
}

/// The form with tanh some models were trained with: `tanh z = 1 − 2 / (1 + e^2z)`.
pub(super) fn gelu_tanh(values: &mut [f32]) {
    for x in values {
        let z = 0.797_884_6 * (*x + 0.044_715 * *x * *x * *x);
        *x *= 1.0 - 1.0 / (1.0 + exp(2.0 * z));
    }
}

pub(super) fn relu(values: &mut [f32]) {
    for x in values {
        *x = x.max(0.0);
    }
}

/// Positive numbers that sum to one, after scaling by `scale`.
pub(super) fn softmax(values: &mut [f32], scale: f32) {
    let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for x in values.iter_mut() {
        *x = exp((*x - most) * scale);
    }
    let sum = sum(values, |x| x);
    for x in values {
        *x /= sum;
    }
}

/// Mean 0 and variance 1, then times `factor` plus `summand`.
pub(super) fn layer_norm(values: &mut [f32], factor: &[f32], summand: &[f32], epsilon: f32) {
    let count = values.len() as f32;
    let mean = sum(values, |x| x) / count;
    let variance = sum(values, |x| (x - mean) * (x - mean)) / count;
    let scale = 1.0 / (variance + epsilon).sqrt();
    for ((x, factor), summand) in values.iter_mut().zip(factor).zip(summand) {
        *x = (*x - mean) * scale * factor + summand;
    }
}

/// A sum in eight lanes, which is what lets the compiler use vectors.
fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; 8];
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += of(x);
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|&x| of(x)).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// erf by its Taylor series in double precision, for |x| ≤ 4.
    fn erf(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn exp_is_exp() {
        for i in -8700..=8800 {
            let x = i as f32 / 100.0;
            let (ours, right) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((ours / right - 1.0).abs() < 3e-7, "{x}: {ours} {right}");
        }
        assert_eq!(exp(-1e30), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
    }

    #[test]
    fn gelu_is_gelu() {
        for i in -500..=500 {
            let x = i as f32 / 100.0;
            let mut ours = [x, x];
            gelu(&mut ours[..1]);
            gelu_tanh(&mut ours[1..]);
            let wide = f64::from(x);
            let right = 0.5 * wide * (1.0 + erf(wide / 2f64.sqrt()));
            let tanh =
                0.5 * wide * (1.0 + (0.797_884_560_8 * (wide + 0.044_715 * wide.powi(3))).tanh());
            assert!((f64::from(ours[0]) - right).abs() < 1e-6, "{x}: {} {right}", ours[0]);
            assert!((f64::from(ours[1]) - tanh).abs() < 1e-6, "{x}: {} {tanh}", ours[1]);
        }
    }

    #[test]
    fn softmax_sums_to_one_whatever_comes() {
        for scores in [vec![0.0; 17], vec![1e30, -1e30, 0.0], vec![3.0]] {
            let mut scores = scores;
            softmax(&mut scores, 0.3);
            assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{scores:?}");
        }
    }
}
