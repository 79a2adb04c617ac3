//! `dkimguard repair` as a black box: the built binary against a peer that speaks AWS, and real name servers that serve
//! the zone that its Route 53 holds.

#[path = "../binary/mod.rs"]
mod binary;
mod by_hand;
mod causes;
mod drawn;
mod killed;
#[path = "../../../dkimguard-aws/tests/peer/mod.rs"]
mod peer;
mod terminal;
mod told;
#[path = "../tree/mod.rs"]
mod tree;
mod world;

use std::error::Error;

use dkimguard_aws::{READ_ONLY_POLICY, REPAIR_POLICY};
use peer::Peer;
use serde_json::Value;

type TestResult = Result<(), Box<dyn Error>>;

/// The calls that write.
const CHANGE: &str = "ChangeResourceRecordSets";
const PUT: &str = "PutEmailIdentityDkimSigningAttributes";

/// The lines of a hosted zone in order, but for the SOA, whose serial grows.
fn lines_of(account: &str, id: &str) -> Vec<String> {
    let text = Peer::shared().zone_file(account, id);
    let mut lines: Vec<String> =
        text.lines().filter(|line| !line.contains(" IN SOA ")).map(str::to_owned).collect();
    lines.sort();
    lines
}

/// What the account called for that neither of the two policies allows for this domain.
fn strange_calls(account: &str, domain: &str) -> Vec<String> {
    let policies = [READ_ONLY_POLICY, REPAIR_POLICY]
        .map(|policy| serde_json::from_str::<Value>(policy).expect("a policy is JSON"));
    let statements = policies.iter().flat_map(|policy| policy["Statement"].as_array().expect("statements"));
    let actions = statements.flat_map(|statement| statement["Action"].as_array().expect("actions"));
    let allowed: Vec<&str> = actions.filter_map(|action| Some(action.as_str()?.split_once(':')?.1)).collect();
    let peer = Peer::shared();
    let calls = peer.calls(account).into_iter().map(|call| call.operation);
    let mut strange: Vec<String> = calls.filter(|call| !allowed.contains(&call.as_str())).collect();
    // The conditions of the policy: names, types and actions.
    let below = format!("._domainkey.{domain}.");
    for change in peer.changes(account).iter().flat_map(|batch| batch["changes"].as_array().expect("changes"))
    {
        let text = |field: &str| change[field].as_str().unwrap_or_default();
        let is_allowed = text("name").ends_with(&below)
            && ["CNAME", "TXT"].contains(&text("type"))
            && ["CREATE", "DELETE"].contains(&text("action"));
        if !is_allowed {
            strange.push(change.to_string());
        }
    }
    strange
}

/// How often the account has written.
fn writes(account: &str) -> usize {
    Peer::shared().count(account, CHANGE) + Peer::shared().count(account, PUT)
}
