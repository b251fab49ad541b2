//! Floats of 8 bits, to and from `f32`.
//!
//! A code is a sign bit, e bits of exponent and m bits of mantissa (Micikevicius and others 2022,
//! arXiv 2209.05433). `E5M2` has infinities and NaNs as IEEE 754 does: it is the upper half of an
//! f16. `E4M3` (PyTorch's `float8_e4m3fn`) has no infinities, and one NaN of each sign.
//!
//! Rounding is to nearest, ties to even. What lies beyond the greatest number becomes that number
//! in `E4M3`, infinities too, and infinite in `E5M2`: as PyTorch 2.15 has it, in
//! `torch/headeronly/util/Float8_e*.h`. (Before, PyTorch made it NaN in `E4M3`.)

use half::f16;

/// A type of 8 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    mantissa: u32,
    bias: i32,
    /// The code of everything that is too great.
    overflow: u32,
}

pub(crate) const E4M3: Format = Format {
    mantissa: 3,
    bias: 7,
    overflow: 0x7E,
};
pub(crate) const E5M2: Format = Format {
    mantissa: 2,
    bias: 15,
    overflow: 0x7C,
};

/// NaN in either type.
const NAN: u32 = 0x7F;
const F32_MANTISSA: u32 = 23;
const F32_BIAS: i32 = 127;

impl Format {
    /// The value of a code.
    pub(crate) fn decode(self, code: u8) -> f32 {
        if self == E5M2 {
            return f16::from_bits(u16::from(code) << 8).to_f32();
        }
        let magnitude = u32::from(code & 0x7F);
        let sign = if code & 0x80 == 0 { 1.0 } else { -1.0 };
        if magnitude == NAN {
            return f32::NAN.copysign(sign);
        }
        let exponent = magnitude >> self.mantissa;
        let fraction = magnitude & ((1 << self.mantissa) - 1);
        // A zero exponent means subnormal: that of one, without the leading bit.
        let whole = if exponent == 0 { 0 } else { 1 << self.mantissa };
        let scale = exponent.max(1) as i32 - self.bias - self.mantissa as i32;
        sign * (whole + fraction) as f32 * power_of_two(scale)
    }

    /// The values of all codes.
    pub(crate) fn table(self) -> [f32; 256] {
        std::array::from_fn(|code| self.decode(code as u8))
    }

    /// The code nearest to a value.
    pub(crate) fn encode(self, value: f32) -> u8 {
        let sign = ((value.to_bits() >> 24) & 0x80) as u8;
        let bits = value.to_bits() & 0x7FFF_FFFF;
        let magnitude = value.abs();
        let code = if magnitude.is_nan() {
            NAN
        } else if magnitude < power_of_two(1 - self.bias) {
            // Subnormal: a count of smallest steps. Scaling by a power of two is exact, and a
            // count that reaches the next power is the code of the first normal number.
            let steps = magnitude * power_of_two(self.bias - 1 + self.mantissa as i32);
            steps.round_ties_even() as u32
        } else {
            let dropped = F32_MANTISSA - self.mantissa;
            let last = (bits >> dropped) & 1;
            // Carries from the mantissa run into the exponent as they should.
            let rounded = (bits + (1 << (dropped - 1)) - 1 + last) >> dropped;
            let offset = ((F32_BIAS - self.bias) as u32) << self.mantissa;
            (rounded - offset).min(self.overflow)
        };
        sign | code as u8
    }

    /// Whether a finite value would become infinite.
    pub(crate) fn overflows(self, value: f32) -> bool {
        value.is_finite() && self.decode(self.encode(value)).is_infinite()
    }
}

/// `2^exponent`, for the exponents of normal `f32`.
fn power_of_two(exponent: i32) -> f32 {
    f32::from_bits(((exponent + F32_BIAS) as u32) << F32_MANTISSA)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: Format, name: &str) {
        let text = include_str!("../tests/golden/f8.json");
        let golden: serde_json::Value = serde_json::from_str(text).unwrap();
        let numbers = |field: &str| -> Vec<u32> {
            let values = golden[name][field].as_array().unwrap().iter();
            values.map(|v| v.as_u64().unwrap() as u32).collect()
        };
        for (code, bits) in numbers("decoded").into_iter().enumerate() {
            let (found, expected) = (format.decode(code as u8), f32::from_bits(bits));
            assert!(
                found.to_bits() == bits || found.is_nan() && expected.is_nan(),
                "{name} {code:#x} is {found}, not {expected}"
            );
        }
        for (bits, code) in numbers("inputs").into_iter().zip(numbers("encoded")) {
            let value = f32::from_bits(bits);
            assert_eq!(u32::from(format.encode(value)), code, "{name} of {value:e}");
        }
    }

    #[test]
    fn every_code_and_every_tie_is_as_pytorch_has_it() {
        check(E4M3, "float8_e4m3fn");
        check(E5M2, "float8_e5m2");
    }

    #[test]
    fn a_value_that_has_a_code_gets_it_back() {
        for format in [E4M3, E5M2] {
            for code in 0..=255u8 {
                let value = format.decode(code);
                if !value.is_nan() {
                    assert_eq!(format.encode(value), code);
                    assert!(!format.overflows(value));
                }
            }
            assert!(!format.overflows(f32::INFINITY));
        }
    }
}
