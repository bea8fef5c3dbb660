//! EXTERNAL (RFC 4422 appendix A): the certificate says who it is, the one message says as whom to act.

use super::{MESSAGE_BYTES_MAX, Question, SaslError, name};

/// Takes the one message; empty means the owner of the certificate.
pub(super) fn decode(message: &[u8]) -> Result<Question, SaslError> {
    match message {
        [] => Ok(Question::Certificate { authzid: None }),
        long if long.len() > MESSAGE_BYTES_MAX => Err(SaslError::TooLong { max: MESSAGE_BYTES_MAX }),
        authzid => Ok(Question::Certificate { authzid: Some(name(authzid)?) }),
    }
}
