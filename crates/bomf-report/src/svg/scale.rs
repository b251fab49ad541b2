//! From values to places: extents, linear and logarithmic scales.

/// Largest magnitude that is drawn. Beyond it sums and differences of domains
/// could overflow; no score or hyperparameter is ever near it.
pub(crate) const LARGEST: f64 = 1e100;

/// Widths of a domain below this part of its magnitude are rounding, not data.
const NEGLIGIBLE: f64 = 1e-9;

/// Places are kept within so many ranges of their own: far outside every figure,
/// far from overflow.
const FARTHEST: f64 = 1e6;

/// Whether a value can be drawn.
pub(crate) fn drawable(value: f64) -> bool {
    value.is_finite() && value.abs() <= LARGEST
}

/// The smallest and largest of some values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Extent {
    /// The smallest.
    pub(crate) low: f64,
    /// The largest.
    pub(crate) high: f64,
}

impl Extent {
    /// Of the values that can be drawn; `None` where there are none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        values
            .into_iter()
            .filter(|&value| drawable(value))
            .fold(None, |extent, value| match extent {
                None => Some(Extent {
                    low: value,
                    high: value,
                }),
                Some(e) => Some(e.with(value)),
            })
    }

    /// Also covering `value`, if it can be drawn.
    pub(crate) fn with(self, value: f64) -> Self {
        if !drawable(value) {
            return self;
        }
        Extent {
            low: self.low.min(value),
            high: self.high.max(value),
        }
    }

    /// Its width.
    pub(crate) fn span(self) -> f64 {
        self.high - self.low
    }

    /// Whether it is a single value for all that can be told.
    pub(crate) fn is_point(self) -> bool {
        self.span() <= NEGLIGIBLE * self.low.abs().max(self.high.abs())
    }

    /// Whether `value` lies in it.
    pub(crate) fn contains(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Widened on both sides by a part of its width; a single value gets room of
    /// a twentieth of its magnitude (of one, at zero).
    pub(crate) fn padded(self, part: f64) -> Self {
        let room = if self.is_point() {
            let magnitude = self.low.abs().max(self.high.abs());
            if magnitude > 0.0 {
                magnitude * 0.05
            } else {
                1.0
            }
        } else {
            self.span() * part
        };
        Extent {
            low: self.low - room,
            high: self.high + room,
        }
    }
}

/// How places follow values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Equal differences, equal distances.
    Linear,
    /// Equal ratios, equal distances; positive values only.
    Log,
}

/// A map from a domain of values to a range of places.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    kind: Kind,
    domain: Extent,
    from: f64,
    to: f64,
}

impl Scale {
    /// A linear scale; a domain without width is given some.
    pub(crate) fn linear(domain: Extent, from: f64, to: f64) -> Self {
        let domain = if domain.is_point() {
            domain.padded(0.0)
        } else {
            domain
        };
        Scale {
            kind: Kind::Linear,
            domain,
            from,
            to,
        }
    }

    /// A logarithmic scale, widened on both sides by `part` of its width in
    /// decades; linear if the domain is not positive.
    pub(crate) fn log(domain: Extent, part: f64, from: f64, to: f64) -> Self {
        if domain.low <= f64::MIN_POSITIVE {
            return Scale::linear(domain.padded(part), from, to);
        }
        let logs = Extent {
            low: domain.low.log10(),
            high: domain.high.log10(),
        };
        // A third of a decade around a single value shows one tick at least.
        let room = if logs.span() < 1e-6 {
            0.34
        } else {
            logs.span() * part
        };
        Scale {
            kind: Kind::Log,
            domain: Extent {
                low: 10f64.powf(logs.low - room),
                high: 10f64.powf(logs.high + room),
            },
            from,
            to,
        }
    }

    /// Linear or logarithmic.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The values it covers.
    pub(crate) fn domain(&self) -> Extent {
        self.domain
    }

    /// Where the domain's low and high ends lie.
    pub(crate) fn range(&self) -> (f64, f64) {
        (self.from, self.to)
    }

    /// The place of `value`, inside the range or outside; `None` if it cannot be
    /// drawn.
    pub(crate) fn at(&self, value: f64) -> Option<f64> {
        if !drawable(value) {
            return None;
        }
        let part = match self.kind {
            Kind::Linear => (value - self.domain.low) / self.domain.span(),
            Kind::Log if value <= 0.0 => return None,
            Kind::Log => {
                let low = self.domain.low.log10();
                (value.log10() - low) / (self.domain.high.log10() - low)
            }
        };
        let part = part.clamp(-FARTHEST, FARTHEST);
        (!part.is_nan()).then_some(self.from + part * (self.to - self.from))
    }

    /// The place of `value` if that is inside the range.
    pub(crate) fn inside(&self, value: f64) -> Option<f64> {
        self.at(value).filter(|_| self.domain.contains(value))
    }

    /// The place of `value`, drawn to the nearest end if it is outside.
    pub(crate) fn clamped(&self, value: f64) -> Option<f64> {
        let (low, high) = (self.from.min(self.to), self.from.max(self.to));
        self.at(value).map(|place| place.clamp(low, high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_extent_of_nothing_drawable_is_none() {
        assert_eq!(Extent::of([f64::NAN, f64::INFINITY, 1e200]), None);
        let extent = Extent::of([2.0, f64::NAN, -1.0]).unwrap();
        assert_eq!((extent.low, extent.high), (-1.0, 2.0));
    }

    #[test]
    fn a_log_scale_puts_the_geometric_mean_in_the_middle() {
        let domain = Extent {
            low: 1e-6,
            high: 1e-4,
        };
        let scale = Scale::log(domain, 0.0, 0.0, 100.0);
        assert!((scale.at(1e-5).unwrap() - 50.0).abs() < 1e-9);
        assert_eq!(scale.at(0.0), None);
        assert_eq!(scale.at(-1.0), None);
    }

    proptest! {
        #[test]
        fn ends_of_the_domain_map_to_ends_of_the_range_and_order_is_kept(
            a in -1e9..1e9f64, b in -1e9..1e9f64, t in 0.0..1.0f64, u in 0.0..1.0f64,
        ) {
            let domain = Extent::of([a, b]).unwrap();
            let scale = Scale::linear(domain, 300.0, 20.0);
            let d = scale.domain();
            prop_assert!((scale.at(d.low).unwrap() - 300.0).abs() < 1e-6);
            prop_assert!((scale.at(d.high).unwrap() - 20.0).abs() < 1e-6);
            let (v, w) = (d.low + t * d.span(), d.low + u * d.span());
            if v <= w {
                prop_assert!(scale.at(v).unwrap() >= scale.at(w).unwrap() - 1e-9);
            }
        }

        #[test]
        fn any_numbers_give_a_finite_place_or_none(a: f64, b: f64, v: f64, part in 0.0..0.5f64) {
            if let Some(extent) = Extent::of([a, b]) {
                for scale in [
                    Scale::linear(extent, 0.0, 10.0),
                    Scale::linear(extent.padded(part), 0.0, 10.0),
                    Scale::log(extent, part, 0.0, 10.0),
                ] {
                    prop_assert!(scale.at(v).is_none_or(f64::is_finite));
                    prop_assert!(scale.clamped(v).is_none_or(|p| (0.0..=10.0).contains(&p)));
                }
            }
        }
    }
}
