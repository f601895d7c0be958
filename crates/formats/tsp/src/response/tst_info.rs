use const_oid::ObjectIdentifier;
use moment::UnixSeconds;

use super::{MalformedResponse, read_directory_name};
use crate::{
    MessageImprint,
    der_reader::{
        BOOLEAN, DerReader, GENERALIZED_TIME, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE,
        context, context_primitive, is_minimal_integer,
    },
    time,
};

/// `TSTInfo`.
pub(crate) struct TstInfo<'a> {
    pub(crate) policy: ObjectIdentifier,
    pub(crate) imprint: MessageImprint,
    /// Content octets of the INTEGER.
    pub(crate) serial_number: &'a [u8],
    /// Unix seconds.
    pub(crate) gen_time: UnixSeconds,
    /// Content octets of the INTEGER.
    pub(crate) nonce: Option<&'a [u8]>,
    /// DER of the `Name` that the authority gives as its own.
    pub(crate) tsa: Option<&'a [u8]>,
}

impl<'a> TstInfo<'a> {
    pub(super) fn read(mut fields: DerReader<'a>) -> Result<Self, MalformedResponse> {
        if fields.content(INTEGER)? != [1] {
            return Err(MalformedResponse::ContentType);
        }
        let policy = ObjectIdentifier::from_bytes(fields.content(OBJECT_IDENTIFIER)?)
            .map_err(|_| MalformedResponse::Der)?;
        let imprint = MessageImprint::from_content(fields.content(SEQUENCE)?)?;
        let serial_number = fields.content(INTEGER)?;
        if !is_minimal_integer(serial_number) {
            return Err(MalformedResponse::Der);
        }
        let gen_time =
            time::decode(fields.content(GENERALIZED_TIME)?).ok_or(MalformedResponse::GenTime)?;
        if let Some(accuracy) = fields.optional(SEQUENCE)? {
            check_accuracy(accuracy)?;
        }
        if fields.optional(BOOLEAN)?.is_some_and(|ordering| ordering != [0xFF]) {
            return Err(MalformedResponse::Der);
        }
        let nonce = fields.optional(INTEGER)?;
        if nonce.is_some_and(|nonce| !is_minimal_integer(nonce)) {
            return Err(MalformedResponse::Der);
        }
        let tsa = fields.optional(context(0))?.map(read_tsa_name).transpose()?;
        if let Some(extensions) = fields.optional(context(1))? {
            refuse_critical_extensions(extensions)?;
        }
        fields.finish()?;
        Ok(Self { policy, imprint, serial_number, gen_time, nonce, tsa })
    }
}

/// Reads seconds, millis and micros, all optional; what they say is signed and left to policy.
fn check_accuracy(content: &[u8]) -> Result<(), MalformedResponse> {
    let mut fields = DerReader::new(content);
    for tag in [INTEGER, context_primitive(0), context_primitive(1)] {
        if fields.optional(tag)?.is_some_and(|number| !is_minimal_integer(number)) {
            return Err(MalformedResponse::Der);
        }
    }
    fields.finish()?;
    Ok(())
}

fn read_tsa_name(content: &[u8]) -> Result<&[u8], MalformedResponse> {
    let mut explicit = DerReader::new(content);
    let directory_name = explicit.content(context(4))?;
    explicit.finish()?;
    read_directory_name(directory_name)
}

fn refuse_critical_extensions(content: &[u8]) -> Result<(), MalformedResponse> {
    let mut extensions = DerReader::new(content);
    while extensions.peek().is_some() {
        let mut extension = extensions.enter(SEQUENCE)?;
        extension.content(OBJECT_IDENTIFIER)?;
        if extension.optional(BOOLEAN)?.is_some() {
            return Err(MalformedResponse::CriticalExtension);
        }
        extension.content(OCTET_STRING)?;
        extension.finish()?;
    }
    Ok(())
}
