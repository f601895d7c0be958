//! An independent reading of responses: `cms` and `x509-cert` types, DER by `der`.

use cms::{cert::CertificateChoices, content_info::ContentInfo, signed_data::SignedData};
use crypto::{LocalSigner, digest};
use der::{
    Any, Decode, Encode, Sequence,
    asn1::{GeneralizedTime, Int, OctetString, SetOfVec},
    oid::ObjectIdentifier,
};
use x509_cert::{
    attr::Attribute,
    ext::{Extension, pkix::name::GeneralName},
    spki::AlgorithmIdentifierOwned,
};

#[derive(Clone, Debug, Sequence)]
pub(crate) struct TimeStampResp {
    pub(crate) status: PkiStatusInfo,
    #[asn1(optional = "true")]
    pub(crate) token: Option<ContentInfo>,
}

/// A granted status: a number and nothing else.
#[derive(Clone, Debug, Sequence)]
pub(crate) struct PkiStatusInfo {
    pub(crate) status: u8,
}

#[derive(Clone, Debug, Sequence)]
pub(crate) struct MessageImprint {
    pub(crate) hash_algorithm: AlgorithmIdentifierOwned,
    pub(crate) hashed_message: OctetString,
}

#[derive(Clone, Debug, Sequence)]
pub(crate) struct Accuracy {
    #[asn1(optional = "true")]
    pub(crate) seconds: Option<u32>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    pub(crate) millis: Option<u16>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub(crate) micros: Option<u16>,
}

#[derive(Clone, Debug, Sequence)]
pub(crate) struct TstInfo {
    pub(crate) version: u8,
    pub(crate) policy: ObjectIdentifier,
    pub(crate) message_imprint: MessageImprint,
    pub(crate) serial_number: Int,
    pub(crate) gen_time: GeneralizedTime,
    #[asn1(optional = "true")]
    pub(crate) accuracy: Option<Accuracy>,
    #[asn1(default = "Default::default")]
    pub(crate) ordering: bool,
    #[asn1(optional = "true")]
    pub(crate) nonce: Option<Int>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(crate) tsa: Option<GeneralName>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub(crate) extensions: Option<Vec<Extension>>,
}

/// RFC 5035; the hash algorithm is always the default here.
#[derive(Clone, Debug, Sequence)]
pub(crate) struct EssCertIdV2 {
    pub(crate) cert_hash: OctetString,
}

#[derive(Clone, Debug, Sequence)]
pub(crate) struct SigningCertificateV2 {
    pub(crate) certs: Vec<EssCertIdV2>,
}

/// A granted response taken apart; tests change it and put it together again.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) signed_data: SignedData,
    pub(crate) tst_info: TstInfo,
}

impl Parts {
    pub(crate) fn of(response_der: &[u8]) -> Self {
        let response = TimeStampResp::from_der(response_der).unwrap();
        assert_eq!(response.status.status, 0);
        let content_info = response.token.unwrap();
        assert_eq!(content_info.content_type.to_string(), "1.2.840.113549.1.7.2");
        let signed_data: SignedData = content_info.content.decode_as().unwrap();
        let content = signed_data.encap_content_info.econtent.as_ref().unwrap();
        let content: OctetString = content.decode_as().unwrap();
        Self { tst_info: TstInfo::from_der(content.as_bytes()).unwrap(), signed_data }
    }

    pub(crate) fn attribute<T: for<'a> Decode<'a>>(&self, oid: &str) -> Option<T> {
        let signer = self.signed_data.signer_infos.0.get(0).unwrap();
        let attributes = signer.signed_attrs.as_ref().unwrap();
        let attribute = attributes.iter().find(|attribute| attribute.oid.to_string() == oid)?;
        assert_eq!(attribute.values.len(), 1);
        T::from_der(&attribute.values.get(0).unwrap().to_der().unwrap()).ok()
    }

    pub(crate) fn certificates(&self) -> Vec<Vec<u8>> {
        self.signed_data.certificates.iter().flat_map(|set| set.0.iter()).map(der_of).collect()
    }

    /// The `TSTInfo` again, signed again.
    pub(crate) fn sign(mut self, signer: &LocalSigner) -> Vec<u8> {
        let content = OctetString::new(self.tst_info.to_der().unwrap()).unwrap();
        let hash = crypto::HashAlgorithm::Sha256;
        let message_digest = OctetString::new(digest(hash, content.as_bytes())).unwrap();
        self.signed_data.encap_content_info.econtent = Some(Any::encode_from(&content).unwrap());
        self.set_attribute(
            "1.2.840.113549.1.9.4",
            Some(Any::encode_from(&message_digest).unwrap()),
        );
        self.sign_attributes(signer)
    }

    /// The signed attributes as they are, signed again.
    pub(crate) fn sign_attributes(mut self, signer: &LocalSigner) -> Vec<u8> {
        self.change_signer(|info| {
            let attributes = info.signed_attrs.as_ref().unwrap().to_der().unwrap();
            info.signature = OctetString::new(signer.sign_now(&attributes).unwrap()).unwrap();
        });
        self.to_der()
    }

    pub(crate) fn set_attribute(&mut self, oid: &str, value: Option<Any>) {
        let oid = ObjectIdentifier::new(oid).unwrap();
        self.change_signer(|info| {
            let old = info.signed_attrs.take().unwrap().into_vec();
            let mut attributes: Vec<_> = old.into_iter().filter(|own| own.oid != oid).collect();
            if let Some(value) = value {
                let values = SetOfVec::try_from(vec![value]).unwrap();
                attributes.push(Attribute { oid, values });
            }
            info.signed_attrs = Some(attributes.try_into().unwrap());
        });
    }

    pub(crate) fn change_signer(&mut self, change: impl FnOnce(&mut cms::signed_data::SignerInfo)) {
        let mut signer = self.signed_data.signer_infos.0.get(0).unwrap().clone();
        change(&mut signer);
        self.signed_data.signer_infos = vec![signer].try_into().unwrap();
    }

    pub(crate) fn to_der(&self) -> Vec<u8> {
        let token = ContentInfo {
            content_type: ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2"),
            content: Any::encode_from(&self.signed_data).unwrap(),
        };
        let status = PkiStatusInfo { status: 0 };
        TimeStampResp { status, token: Some(token) }.to_der().unwrap()
    }
}

fn der_of(certificate: &CertificateChoices) -> Vec<u8> {
    certificate.to_der().unwrap()
}
