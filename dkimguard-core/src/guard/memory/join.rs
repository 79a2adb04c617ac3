//! What two instances remember of one identity, as one.

use super::Memory;
use crate::guard::incident::Incident;
use crate::guard::{Alert, AlertEvent};
use crate::identity::IdentityId;

impl Memory {
    /// What is stored, and what this instance remembered by itself, from `base` on, while it couldn't be stored. How
    /// things stand is what the later look says. Of two incidents the one goes on that was opened first, and whoever
    /// was told of the other hears that it is over. No alert that waits is lost, but for what the other instance has
    /// told of too.
    #[must_use]
    pub(in crate::guard) fn joined(self, own: Self, base: &Self, id: &IdentityId) -> Self {
        let Self { incident, blindness, mut delivery, status, notice, bad_at, journal, .. } = self.clone();
        let mut joined = if own.looked_at > self.looked_at { own.clone() } else { self };
        // What was seen first was seen then, whoever saw it.
        if let (Some((known, since)), Some((name, first))) = (&mut joined.status, status.or(own.status))
            && *known == name
        {
            *since = first.min(*since);
        }
        joined.bad_at = bad_at.max(own.bad_at);
        joined.journal = journal.joined(own.journal);
        joined.notice = notice.into_iter().chain(own.notice).min();

        let mut own_delivery = own.delivery;
        let was_told = |alert: &Alert| base.undelivered().any(|known| known.key() == alert.key());
        own_delivery.retain(|alert| !was_told(alert));
        let mut ends = Vec::new();
        let mut join = |stored: Option<Box<Incident>>,
                        own: Option<Box<Incident>>,
                        base: Option<&Incident>| {
            if let Some(base) = base {
                // The other instance tells of what both knew, but for what only this one has seen.
                let told =
                    stored.as_ref().filter(|stored| stored.id() == base.id()).map(|stored| stored.alerts());
                own_delivery.retain(|alert| {
                    let is_news =
                        told.is_some_and(|told| alert.number > told && alert.event != AlertEvent::Recovered);
                    alert.incident != *base.id() || is_news
                });
            }
            let is_known = |own: &Incident| base.is_some_and(|base| base.id() == own.id());
            let (stored, own) = match (stored, own) {
                (Some(stored), Some(own)) if stored.id() == own.id() => {
                    return Some(Box::new(stored.after_alerts_of(&own)));
                }
                (stored, Some(own)) if is_known(&own) => return stored,
                (Some(stored), Some(own)) => (stored, own),
                (stored, own) => return stored.or(own),
            };
            let (goes_on, over) =
                if own.opened_at() < stored.opened_at() { (own, stored) } else { (stored, own) };
            if delivery.has_told_nobody_of(over.id()) || own_delivery.has_told_nobody_of(over.id()) {
                delivery.retain(|alert| alert.incident != *over.id());
                own_delivery.retain(|alert| alert.incident != *over.id());
            } else {
                ends.push(over.give_way(&goes_on, id, joined.looked_at, joined.verdict));
            }
            Some(goes_on)
        };
        let joined_incident = join(incident, own.incident, base.incident.as_deref());
        let joined_blindness = join(blindness, own.blindness, base.blindness.as_deref());
        (joined.incident, joined.blindness) = (joined_incident, joined_blindness);
        delivery.take_over(own_delivery);
        for end in ends {
            delivery.add(end);
        }
        joined.delivery = delivery;
        joined
    }
}
