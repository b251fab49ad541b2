//! A made-up study that looks like a real one: members of one trajectory as noisy
//! margins of a few hundred examples, mixtures evaluated on them.

use bomf_study::*;
use indexmap::IndexMap;
use serde_json::{Value, json};

/// A small generator of numbers (splitmix64): the sample needs no better one.
pub struct Dice(pub u64);

impl Dice {
    pub fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    fn simplex(&mut self, n: usize) -> Vec<f64> {
        normalised((0..n).map(|_| -self.unit().max(1e-12).ln()).collect())
    }
}

fn normalised(mut w: Vec<f64>) -> Vec<f64> {
    let sum: f64 = w.iter().sum();
    w.iter_mut().for_each(|v| *v /= sum);
    w
}

/// Margins of every member on the examples of a split: positive is right.
struct Split(Vec<Vec<f64>>);

impl Split {
    fn new(dice: &mut Dice, members: usize, examples: usize) -> Self {
        // Later members see more clearly (better metric) but are too sure of
        // themselves (worse loss), as fine-tuned models are.
        let base: Vec<f64> = (0..examples).map(|_| 0.95 + 0.95 * dice.normal()).collect();
        let mut drift = vec![0.0; examples];
        let rows = (0..members)
            .map(|i| {
                let t = i as f64 / (members - 1).max(1) as f64;
                for d in &mut drift {
                    *d += 0.16 * dice.normal();
                }
                let row = base.iter().zip(&drift);
                row.map(|(b, d)| (1.0 + 1.5 * t) * (b + d + (0.75 - 0.45 * t) * dice.normal()))
                    .collect()
            })
            .collect();
        Split(rows)
    }

    fn margins(&self, w: &[f64]) -> Vec<f64> {
        (0..self.0[0].len())
            .map(|e| w.iter().zip(&self.0).map(|(w, row)| w * row[e]).sum())
            .collect()
    }

    fn scores(&self, w: &[f64], metrics: &[&str]) -> Scores {
        let z = self.margins(w);
        let n = z.len() as f64;
        let right = |from: f64| z.iter().filter(|&&z| z > from).count() as f64 / n;
        let mut scores = Scores::new();
        scores.insert(
            "loss".into(),
            z.iter().map(|z| (-z).exp().ln_1p()).sum::<f64>() / n,
        );
        for (k, metric) in metrics.iter().enumerate() {
            scores.insert(metric.to_string(), right(0.12 * k as f64) - 0.02 * k as f64);
        }
        scores
    }
}

fn vertex(n: usize, i: usize) -> Vec<f64> {
    (0..n).map(|k| f64::from(u8::from(k == i))).collect()
}

fn tail(n: usize, from: usize) -> Vec<f64> {
    normalised((0..n).map(|k| f64::from(u8::from(k >= from))).collect())
}

fn dominates(a: &Scores, b: &Scores, objectives: &[Objective]) -> bool {
    let of = |s: &Scores, o: &Objective| o.direction.maximised(s[&o.name]);
    objectives.iter().all(|o| of(a, o) >= of(b, o))
        && objectives.iter().any(|o| of(a, o) > of(b, o))
}

/// Monte Carlo hypervolume, good enough for a picture.
fn hypervolume(points: &[Scores], objectives: &[Objective], ref_point: &[f64], unit: f64) -> f64 {
    let mut dice = Dice(5);
    let draws = 4000;
    let hits = (0..draws)
        .filter(|_| {
            let u: Vec<f64> = objectives
                .iter()
                .zip(ref_point)
                .map(|(o, r)| o.direction.maximised(*r) + unit * dice.unit())
                .collect();
            points.iter().any(|p| {
                objectives
                    .iter()
                    .zip(&u)
                    .all(|(o, u)| o.direction.maximised(p[&o.name]) >= *u)
            })
        })
        .count();
    hits as f64 / draws as f64 * unit.powi(objectives.len() as i32)
}

/// A study with `n` members and these metrics beside the loss, and its journal.
pub fn study(seed: u64, n: usize, metrics: &[&str]) -> (Results, Vec<Event>) {
    let mut dice = Dice(seed);
    let select = Split::new(&mut dice, n, 600);
    let report = Split::new(&mut dice, n, 1000);
    let objectives: Vec<Objective> = std::iter::once(("loss", Direction::Minimize))
        .chain(metrics.iter().map(|m| (*m, Direction::Maximize)))
        .map(|(name, direction)| Objective {
            name: name.into(),
            direction,
        })
        .collect();
    let chosen = metrics.first().copied().unwrap_or("loss");
    let better = |a: &Scores, b: &Scores| {
        let d = objectives
            .iter()
            .find(|o| o.name == chosen)
            .expect("the chosen one is an objective")
            .direction;
        d.maximised(a[chosen]) > d.maximised(b[chosen])
    };
    let members: Vec<Scores> = (0..n)
        .map(|i| select.scores(&vertex(n, i), metrics))
        .collect();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| members[b][chosen].total_cmp(&members[a][chosen]));
    let best = order[0];
    let mut greedy = vertex(n, best);
    let mut kept = vec![best];
    for &i in &order[1..] {
        let trial: Vec<f64> = normalised(
            (0..n)
                .map(|k| f64::from(u8::from(kept.contains(&k) || k == i)))
                .collect(),
        );
        if !better(
            &select.scores(&greedy, metrics),
            &select.scores(&trial, metrics),
        ) {
            kept.push(i);
            greedy = trial;
        }
    }
    let mut start = vec![
        vertex(n, best),
        tail(n, 0),
        greedy.clone(),
        tail(n, n - n.div_ceil(4)),
    ];
    while start.len() < n.max(4) {
        start.push(dice.simplex(n));
    }
    let budget = start.len() + 5 * n;
    let mut seen: Vec<(Vec<f64>, Scores)> = start
        .iter()
        .map(|w| (w.clone(), select.scores(w, metrics)))
        .collect();
    while seen.len() < budget {
        let k = (dice.unit() * seen.len() as f64) as usize;
        let front: Vec<&(Vec<f64>, Scores)> = seen
            .iter()
            .filter(|a| !seen.iter().any(|b| dominates(&b.1, &a.1, &objectives)))
            .collect();
        let from = &front[k % front.len()].0;
        let w = normalised(
            from.iter()
                .map(|w| (w + 0.12 * dice.normal()).max(0.0) + 1e-9)
                .collect(),
        );
        let s = select.scores(&w, metrics);
        seen.push((w, s));
    }
    let random: Vec<(Vec<f64>, Scores)> = (0..budget)
        .map(|_| dice.simplex(n))
        .map(|w| (w.clone(), select.scores(&w, metrics)))
        .collect();
    let worst = |o: &Objective| {
        let values = members.iter().map(|m| o.direction.maximised(m[&o.name]));
        o.direction.maximised(values.fold(f64::INFINITY, f64::min)) - o.direction.maximised(0.006)
    };
    let ref_point: Vec<f64> = objectives.iter().map(worst).collect();
    let volume = |points: &[Scores]| hypervolume(points, &objectives, &ref_point, 0.15);
    let only = |points: &[(Vec<f64>, Scores)]| -> Vec<Scores> {
        points.iter().map(|p| p.1.clone()).collect()
    };
    let history = (1..=budget)
        .map(|k| HypervolumePoint {
            evaluations: k,
            bomf: volume(&only(&seen[..k])),
            random_simplex: Some(volume(&only(&random[..k]))),
        })
        .collect();
    let mut front: Vec<FrontPoint> = seen
        .iter()
        .filter(|a| !seen.iter().any(|b| dominates(&b.1, &a.1, &objectives)))
        .map(|(weights, select)| FrontPoint {
            block_weights: None,
            weights: weights.clone(),
            select: select.clone(),
            chosen: false,
            dominated: false,
        })
        .collect();
    front.sort_by(|a, b| b.select[chosen].total_cmp(&a.select[chosen]));
    front[0].chosen = true;
    let bomf = front[0].weights.clone();
    let top_random = random
        .iter()
        .fold(&random[0], |a, b| if better(&b.1, &a.1) { b } else { a });
    let models: [(MethodName, Option<Vec<f64>>, usize); 8] = [
        (MethodName::BestCheckpoint, Some(vertex(n, best)), 0),
        (MethodName::LastCheckpoint, Some(vertex(n, n - 1)), 0),
        (MethodName::Swa, Some(tail(n, n - n.div_ceil(4))), 1),
        (MethodName::UniformSoup, Some(tail(n, 0)), 1),
        (MethodName::GreedySoup, Some(greedy), n),
        (
            MethodName::RandomSimplex,
            Some(top_random.0.clone()),
            budget,
        ),
        (MethodName::PredictionEnsemble, None, 0),
        (MethodName::Bomf, Some(bomf.clone()), budget),
    ];
    let ours = report.scores(&bomf, metrics);
    let methods = models
        .into_iter()
        .map(|(name, weights, evaluations)| {
            let w = weights.clone().unwrap_or_else(|| tail(n, 0));
            let (s, r) = (select.scores(&w, metrics), report.scores(&w, metrics));
            let half = |name: &str| if name == "loss" { 0.021 } else { 0.0198 };
            let us = name == MethodName::Bomf;
            let evaluated = match name {
                MethodName::Bomf => only(&seen),
                MethodName::RandomSimplex => only(&random),
                _ => vec![s.clone()],
            };
            Method {
                block_weights: None,
                name,
                weights,
                report_interval: r
                    .iter()
                    .map(|(k, v)| (k.clone(), [v - half(k), v + half(k)]))
                    .collect(),
                bomf_minus_this: r
                    .iter()
                    .filter(|_| !us)
                    .map(|(k, v)| {
                        (
                            k.clone(),
                            [
                                ours[k] - v,
                                ours[k] - v - half(k) * 0.45,
                                ours[k] - v + half(k) * 0.45,
                            ],
                        )
                    })
                    .collect(),
                hypervolume: volume(&evaluated),
                select: s,
                report: r,
                evaluations,
                seconds: 0.21 * evaluations as f64 + 0.02,
            }
        })
        .collect();
    let journal = [("bomf", &seen), ("random_simplex", &random)]
        .into_iter()
        .flat_map(|(method, points)| {
            points
                .iter()
                .enumerate()
                .map(move |(evaluation, (weights, scores))| Event::Stage2 {
                    block_weights: None,
                    method: method.into(),
                    evaluation,
                    weights: weights.clone(),
                    state: State::Complete,
                    scores: scores.clone(),
                    seconds: 0.2,
                })
        })
        .collect();
    let step = |i: usize| 200 + 40 * i as u64;
    let results = Results {
        version: "0.1.0".into(),
        task: "harbour-notices".into(),
        task_kind: "classification".into(),
        model: "assets/encoder-mini".into(),
        parameters: 2_412_802,
        seed: 7,
        threads: 2,
        splits: Splits {
            train: 2000,
            select: 600,
            report: 1000,
        },
        chosen_metric: chosen.into(),
        ref_point,
        stage1: stage1(&mut dice, metrics),
        finetune: Finetune {
            best_step: step(best),
            steps: 800,
            steps_per_epoch: 125,
            curve: curve(&mut dice, &members, metrics, step),
            members: members
                .iter()
                .enumerate()
                .map(|(i, s)| MemberRecord {
                    run: None,
                    step: step(i),
                    path: format!("members/checkpoint-{}", step(i)),
                    select: s.clone(),
                })
                .collect(),
            further_runs: Vec::new(),
        },
        stage2: Stage2 {
            surrogates: indexmap::IndexMap::new(),
            blocks: None,
            basin: None,
            initial_evaluations: start.len(),
            choice: bomf_study::Choice::default(),
            history,
        },
        objectives,
        methods,
        front,
        notes: vec![
            "the column `text` was taken for the sentence, `label` for the label".into(),
            "41 of 2,000 training examples are longer than 128 tokens and were cut".into(),
        ],
        seconds: Seconds {
            stage1: 41.2,
            finetune: 38.7,
            stage2: 46.9,
            total: 133.4,
        },
        peak_rss_mb: 412.0,
    };
    (results, journal)
}

fn stage1(dice: &mut Dice, metrics: &[&str]) -> Stage1 {
    let mut trials: Vec<Stage1Trial> = (0..10)
        .map(|k| {
            let near = if k < 3 { 1.0 } else { 0.35 };
            let lr = 10f64.powf(-4.6 + near * (dice.unit() - 0.5) * 2.6);
            let batch = 8 + (dice.unit() * 57.0) as i64;
            let value =
                0.86 - 0.05 * (lr.log10() + 4.5).powi(2) - 0.0004 * (batch - 24).abs() as f64
                    + 0.004 * dice.normal();
            let failed = k == 1;
            Stage1Trial {
                pruned: false,
                parameters: [
                    ("learning_rate".to_string(), json!(lr)),
                    ("batch_size".to_string(), json!(batch)),
                    ("weight_decay".to_string(), json!(0.1)),
                ]
                .into_iter()
                .collect(),
                select: if failed {
                    Scores::new()
                } else {
                    metrics.iter().map(|m| (m.to_string(), value)).collect()
                },
                value: (!failed).then_some(value),
                seconds: 3.0 + 2.0 * dice.unit(),
            }
        })
        .collect();
    trials[1].seconds = 0.4;
    let best = trials
        .iter()
        .max_by(|a, b| a.value.unwrap_or(0.0).total_cmp(&b.value.unwrap_or(0.0)))
        .expect("ten trials");
    let mut chosen: IndexMap<String, Value> = best.parameters.clone();
    chosen.insert("epochs".into(), json!(6.4));
    chosen.insert("schedule".into(), json!("constant with warm-up"));
    Stage1 {
        layers: 6,
        frozen_layers: 3,
        lora_r: None,
        known: Vec::new(),
        best: chosen,
        trials,
    }
}

fn curve(
    dice: &mut Dice,
    members: &[Scores],
    metrics: &[&str],
    step: impl Fn(usize) -> u64,
) -> Vec<CurvePoint> {
    let mut curve = Vec::new();
    for k in 1..=20u64 {
        let at = k * 40;
        let t = at as f64 / 800.0;
        let member = (0..members.len()).find(|&i| step(i) == at);
        let near = if at < step(0) {
            members.first()
        } else {
            members.last()
        };
        let select = match (member, near) {
            (Some(i), _) => members[i].clone(),
            (None, Some(near)) => {
                let left = (1.0 - at as f64 / step(0) as f64).max(0.0).powf(1.6);
                let mut s = Scores::new();
                s.insert(
                    "loss".into(),
                    near["loss"] + 0.3 * left + 0.006 * dice.normal(),
                );
                for m in metrics {
                    s.insert(m.to_string(), near[*m] - 0.3 * left + 0.006 * dice.normal());
                }
                s
            }
            (None, None) => Scores::new(),
        };
        let train_loss = 0.12 + 0.58 * (-4.5 * t).exp() + 0.012 * dice.normal();
        curve.push(CurvePoint {
            step: at,
            train_loss,
            select,
        });
    }
    curve
}
