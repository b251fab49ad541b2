//! Steps between the points of a box: which coordinates are free, what lies
//! beside a point in its discrete parameters.

use super::{BoxSpace, Domain, Value};

impl BoxSpace {
    /// Draws the coordinates of every parameter that is active at `unit` and was
    /// not `before`, from `draw` (uniform numbers).
    pub(crate) fn wake(
        &self,
        unit: &mut [f64],
        before: &[Option<Value>],
        mut draw: impl FnMut() -> f64,
    ) {
        let mut values = vec![None; self.parameters.len()];
        for &i in self.activity.order() {
            if self.activity.is_active(i, &values) {
                let slot = &mut unit[self.slot(i)];
                if before[i].is_none() {
                    slot.iter_mut().for_each(|u| *u = draw());
                }
                values[i] = Some(self.parameters[i].domain.decode(slot));
            }
        }
    }

    /// Which unit coordinates vary continuously at the snapped point `unit`:
    /// those of its active floats.
    pub(crate) fn free(&self, unit: &[f64]) -> Vec<bool> {
        let mut free = self.continuous();
        if self.is_conditional() {
            for (i, value) in self.values(unit).iter().enumerate() {
                if value.is_none() {
                    free[self.slot(i)].fill(false);
                }
            }
        }
        free
    }

    /// The points that differ from the snapped point `unit` in one discrete
    /// parameter: each other choice, and integers near and far (steps of 1 and
    /// of an eighth of the range, both ways). Parameters that become active by
    /// that begin at the centre.
    pub(crate) fn neighbours(&self, unit: &[f64]) -> Vec<Vec<f64>> {
        let mut all = Vec::new();
        for (i, (p, value)) in self.parameters.iter().zip(self.values(unit)).enumerate() {
            let others: Vec<Value> = match (&p.domain, value) {
                (Domain::Integer { low, high, .. }, Some(Value::Integer(v))) => {
                    let far = (high.abs_diff(*low) / 8) as i64;
                    let mut steps = vec![v - 1, v + 1];
                    if far > 1 {
                        steps.extend([v - far, v + far]);
                    }
                    steps.retain(|s| (*low..=*high).contains(s));
                    steps.into_iter().map(Value::Integer).collect()
                }
                (Domain::Categorical { choices }, Some(Value::Categorical(v))) => choices
                    .iter()
                    .filter(|c| **c != v)
                    .map(|c| Value::Categorical(c.clone()))
                    .collect(),
                _ => Vec::new(),
            };
            for value in others {
                let mut coordinates = Vec::with_capacity(p.domain.width());
                if p.domain.encode(&value, &mut coordinates) {
                    let mut neighbour = unit.to_vec();
                    neighbour[self.slot(i)].copy_from_slice(&coordinates);
                    if self.is_conditional() {
                        self.snap(&mut neighbour);
                    }
                    all.push(neighbour);
                }
            }
        }
        all
    }
}
