//! What users have today: every quarter of an hour each record is asked of one resolver, once, and whatever isn't the
//! right answer is an alarm.

use std::collections::HashMap;

use dkimguard_core::identity::ExpectedValue;
use dkimguard_core::look::{Question, Vantage};
use dkimguard_core::record::RecordKind;

use super::chance::{MINUTE, of_look, rng, until_next};
use super::fault::LOST_QUESTION;
use super::sky::{RECORDS, Sky, resolver_address};
use super::timeline::Timeline;

const INTERVAL: i64 = 15 * MINUTE;

/// What the resolver gives under a sky, asking this server first.
#[derive(Debug, Default)]
pub(crate) struct Answers(HashMap<(Sky, usize), bool>);

/// When looks failed, and which of those came after one that didn't.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    pub(crate) failed: Vec<f64>,
    pub(crate) raised: Vec<f64>,
}

pub(crate) fn play(timeline: &Timeline, seed: u64, answers: &mut Answers) -> Alarms {
    let mut rng = rng(seed, 4);
    let mut failed = Vec::new();
    let mut next = || until_next(&mut rng, INTERVAL as f64 / (f64::from(RECORDS) * LOST_QUESTION));
    let mut lost = next();
    while lost < timeline.end {
        failed.push(lost / INTERVAL);
        lost += next();
    }
    for (from, until, sky) in timeline.spans().filter(|(_, _, sky)| !sky.is_clear()) {
        for tick in (from + INTERVAL - 1) / INTERVAL..=(until - 1).div_euclid(INTERVAL) {
            let first = (of_look(seed ^ 5, tick as u64) * f64::from(sky.servers)) as usize;
            if !answers.hold(sky, first) {
                failed.push(tick);
            }
        }
    }
    failed.sort_unstable();
    failed.dedup();
    let time = |tick: &i64| (tick * INTERVAL) as f64;
    let is_new = |index: &usize| *index == 0 || failed[*index - 1] + 1 != failed[*index];
    let raised = (0..failed.len()).filter(is_new).map(|index| time(&failed[index])).collect();
    Alarms { failed: failed.iter().map(time).collect(), raised }
}

impl Answers {
    fn hold(&mut self, sky: &Sky, first: usize) -> bool {
        if self.0.len() > 20_000 {
            self.0.clear();
        }
        *self.0.entry((sky.clone(), first)).or_insert_with(|| {
            if sky.offline {
                return false;
            }
            let mut world = sky.world(None);
            world.resolver(resolver_address(0)).prefer_server(first);
            let resolver = Vantage::System { address: (resolver_address(0), 53).into() };
            let expected = sky.identity().expected().expect("the names are short");
            expected.iter().all(|expected| {
                let question = Question::new(expected.name.clone(), RecordKind::Cname);
                let ExpectedValue::Cname(target) = &expected.value else { return false };
                world
                    .answer(&question, &resolver)
                    .is_ok_and(|response| response.cnames(&expected.name).contains(&target))
            })
        })
    }
}
