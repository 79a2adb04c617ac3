//! The system's resolvers, DNS over TLS and HTTPS.
