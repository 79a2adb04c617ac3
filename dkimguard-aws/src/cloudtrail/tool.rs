//! Which tool made a call, out of what it says about itself.

use serde_json::Value;

/// What a user agent holds, in lower case, and how people call the tool. The first that fits counts: tools are built
/// on others and name these too.
const TOOLS: [(&str, &str); 20] = [
    ("cloudformation.amazonaws.com", "CloudFormation"),
    ("aws-cdk", "AWS CDK"),
    ("pulumi", "Pulumi"),
    ("opentofu", "OpenTofu"),
    ("terraform", "Terraform"),
    ("crossplane", "Crossplane"),
    ("ansible", "Ansible"),
    ("external-dns", "ExternalDNS"),
    ("externaldns", "ExternalDNS"),
    ("octodns", "octoDNS"),
    ("dnscontrol", "DNSControl"),
    ("cert-manager", "cert-manager"),
    ("certbot", "Certbot"),
    ("aws-cli", "AWS CLI"),
    ("powershell", "AWS Tools for PowerShell"),
    ("console.amazonaws.com", "AWS console"),
    ("console.aws.amazon.com", "AWS console"),
    ("aws internal", "AWS console"),
    ("mozilla/", "AWS console"),
    ("boto", "boto3"),
];

/// The tool, as people call it; a tool that isn't known by the name it gives itself, an SDK by the SDK's.
pub(super) fn of(record: &Value) -> Option<String> {
    let text = |path| record.pointer(path).and_then(Value::as_str);
    // A service that calls on somebody's behalf; AWS writes other words there too.
    let on_behalf = text("/userIdentity/invokedBy").filter(|by| by.contains(".amazonaws.com"));
    let agent = on_behalf.or_else(|| text("/userAgent"))?;
    let lower = agent.to_ascii_lowercase();
    if let Some((_, tool)) = TOOLS.iter().find(|(part, _)| lower.contains(part)) {
        return Some((*tool).to_owned());
    }
    if text("/sessionCredentialFromConsole") == Some("true") {
        return Some("AWS console".to_owned());
    }
    let mut products = agent
        .split(|character: char| character.is_whitespace() || "[](),;".contains(character))
        .map(|token| token.split('/').next().unwrap_or_default())
        .filter(|name| !name.is_empty());
    let first = products.clone().next();
    products.find(|name| name.starts_with("aws-sdk-")).or(first).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn tool_is_named_as_people_call_it() {
        for (agent, tool) in [
            (
                "APN/1.0 HashiCorp/1.0 Terraform/1.9.0 (+https://www.terraform.io) terraform-provider-aws/5.60.0 \
              aws-sdk-go-v2/1.30.3",
                "Terraform",
            ),
            ("APN/1.0 Pulumi/1.0 PulumiAWS/6.50 terraform-provider-aws/5.60.0", "Pulumi"),
            ("aws-cli/2.17.9 md/awscrt#0.20.11 ua/2.0 os/linux#6.8 exec-env/CloudShell", "AWS CLI"),
            ("console.amazonaws.com", "AWS console"),
            ("[AWS Internal]", "AWS console"),
            ("AWS Internal", "AWS console"),
            ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "AWS console"),
            ("Boto3/1.34.99 md/Botocore#1.34.162 lang/python#3.11.9", "boto3"),
            ("cloudformation.amazonaws.com", "CloudFormation"),
            ("aws-cdk/2.150.0", "AWS CDK"),
            ("ExternalDNS/v0.14.2 aws-sdk-go/1.44.311 (go1.22.4; linux; amd64)", "ExternalDNS"),
            ("octodns/1.9 Boto3/1.34.99", "octoDNS"),
            ("aws-sdk-go-v2/1.30.3 os/linux lang/go#1.22.4", "aws-sdk-go-v2"),
            ("APN/1.0 aws-sdk-js/3.600.0 os/linux", "aws-sdk-js"),
            ("our-own-thing/7 (internal)", "our-own-thing"),
        ] {
            assert_eq!(super::of(&json!({ "userAgent": agent })).as_deref(), Some(tool), "{agent}");
        }
        assert_eq!(super::of(&json!({})), None);
        assert_eq!(super::of(&json!({ "userAgent": " " })), None);
    }

    #[test]
    fn service_that_calls_for_somebody_counts_before_the_user_agent() {
        let by = |service: &str| {
            super::of(&json!({ "userIdentity": { "invokedBy": service }, "userAgent": "Boto3/1" }))
        };
        assert_eq!(by("cloudformation.amazonaws.com").as_deref(), Some("CloudFormation"));
        assert_eq!(by("acm.amazonaws.com").as_deref(), Some("acm.amazonaws.com"));
        assert_eq!(by("AWS Internal").as_deref(), Some("boto3"));
    }

    #[test]
    fn session_of_the_console_counts_where_the_user_agent_tells_less() {
        let record = json!({ "sessionCredentialFromConsole": "true", "userAgent": "aws-sdk-java/2.26" });
        assert_eq!(super::of(&record).as_deref(), Some("AWS console"));
    }
}
