//! DNS messages over UDP and TCP to any address.
