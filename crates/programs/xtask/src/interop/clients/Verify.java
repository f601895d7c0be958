// Verifies as a user of sigstore-java does: java Verify BUNDLE FILE TRUSTED_ROOT IDENTITY ISSUER
import dev.sigstore.KeylessVerifier;
import dev.sigstore.TrustedRootProvider;
import dev.sigstore.VerificationOptions;
import dev.sigstore.VerificationOptions.CertificateMatcher;
import dev.sigstore.bundle.Bundle;
import dev.sigstore.strings.StringMatcher;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

public class Verify {
  public static void main(String[] arguments) throws Exception {
    var matcher =
        CertificateMatcher.fulcio()
            .subjectAlternativeName(StringMatcher.string(arguments[3]))
            .issuer(StringMatcher.string(arguments[4]))
            .build();
    KeylessVerifier.builder()
        .trustedRootProvider(TrustedRootProvider.from(Path.of(arguments[2])))
        .build()
        .verify(
            Path.of(arguments[1]),
            Bundle.from(Path.of(arguments[0]), StandardCharsets.UTF_8),
            VerificationOptions.builder().addCertificateMatchers(matcher).build());
  }
}
