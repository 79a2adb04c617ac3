//! The pages of AWS's documentation that the catalogue rests on.

pub(super) const SES_EASY: &str =
    "https://docs.aws.amazon.com/ses/latest/dg/send-email-authentication-dkim-easy.html";
pub(super) const SES_EASY_MANAGING: &str =
    "https://docs.aws.amazon.com/ses/latest/dg/send-email-authentication-dkim-easy-managing.html";
pub(super) const SES_BYODKIM: &str =
    "https://docs.aws.amazon.com/ses/latest/dg/send-email-authentication-dkim-bring-your-own.html";
pub(super) const SES_DEED: &str =
    "https://docs.aws.amazon.com/ses/latest/dg/send-email-authentication-dkim-deed.html";
pub(super) const SES_DMARC: &str =
    "https://docs.aws.amazon.com/ses/latest/dg/send-email-authentication-dmarc.html";
pub(super) const SES_MAIL_FROM: &str = "https://docs.aws.amazon.com/ses/latest/dg/mail-from.html";
pub(super) const SES_TROUBLE: &str =
    "https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-verification.html";
pub(super) const SES_SIGNING_API: &str =
    "https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_PutEmailIdentityDkimSigningAttributes.html";
pub(super) const SES_SWITCH_API: &str =
    "https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_PutEmailIdentityDkimAttributes.html";
pub(super) const SES_VERIFICATION_API: &str =
    "https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_VerificationInfo.html";
pub(super) const R53_NAMESERVERS: &str =
    "https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/GetInfoAboutHostedZone.html";
pub(super) const R53_REGISTRAR: &str =
    "https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/domain-name-servers-glue-records.html";
pub(super) const R53_PRIVATE: &str =
    "https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/hosted-zones-private.html";
pub(super) const R53_SOA: &str =
    "https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/SOA-NSrecords.html";
