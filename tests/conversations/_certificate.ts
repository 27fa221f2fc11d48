/**
 * A certificate for `localhost` and 127.0.0.1, for servers that live as long as a test. It signs itself.
 *
 * @module
 */
import { runCommand } from "../update/_fixtures.ts";

/** Where a certificate and its key lie. */
export interface Certificate {
  /** The path of the certificate, PEM. */
  readonly cert: string;
  /** The path of the private key, PEM. */
  readonly key: string;
  /** The text of the certificate. */
  readonly text: string;
}

/**
 * Makes a certificate; where there is no `openssl`, one that was made before does as well, for nobody trusts it.
 *
 * @param dir the directory to write it to
 */
export async function makeCertificate(dir: string): Promise<Certificate> {
  const [cert, key] = [`${dir}/cert.pem`, `${dir}/key.pem`];
  const made = await runOpenssl(cert, key);
  if (!made) {
    await Deno.writeTextFile(cert, CERT);
    await Deno.writeTextFile(key, KEY);
  }
  return { cert, key, text: await Deno.readTextFile(cert) };
}

async function runOpenssl(cert: string, key: string): Promise<boolean> {
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  // Clients do not take the certificate of an authority for that of a server.
  const leaf = ["-addext", "basicConstraints=critical,CA:FALSE"];
  const files = ["-keyout", key, "-out", cert, "-days", "2"];
  try {
    const { code } = await runCommand(["openssl", "req", "-x509", ...curve, ...files, ...names, ...leaf]);
    return code === 0;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Valid until 2120, for nothing but tests. */
const CERT = `-----BEGIN CERTIFICATE-----
MIIBYzCCAQqgAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABExznYpDtz2hl2q3
Vncyd8splSXV2Ur+OlCnVlDV0d9rYfuE+DLkT+A4Yk2XhYRR/Agg45Yix3nszBX6
tMe/o1GjSzBJMBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAMBgNVHRMBAf8E
AjAAMB0GA1UdDgQWBBSxUVNpJYy6a/lhiqSya45JOVxNpTAKBggqhkjOPQQDAgNH
ADBEAiBUs4ZKtpuOdSJkwjH15DnPBQFXkiSonaz9wAFyZRuEEwIgD4T/G7gISnJg
AdDlgf7Jez20cB+jZa513Ya2wTDbd2s=
-----END CERTIFICATE-----
`;
const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgR5KwiOfhVMGOkNqB
aoyJfxWOLPyvBC3dwbFzN3NiG8ChRANCAARMc52KQ7c9oZdqt1Z3MnfLKZUl1dlK
/jpQp1ZQ1dHfa2H7hPgy5E/gOGJNl4WEUfwIIOOWIsd57MwV+rTHv6NR
-----END PRIVATE KEY-----
`;
