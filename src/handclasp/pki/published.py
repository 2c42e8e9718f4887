"""Keys whose private half anybody can look up, by the SHA-256 of their SubjectPublicKeyInfo.

- Of standards: computed from the private keys that the RFCs print, and checked against the public keys beside them
  (of RFC 9881 from the seed that all its examples share).
- Of libraries: every private key of a kind in use here among the test vectors of pyca/cryptography (the package
  ``cryptography_vectors``), which were taken from OpenSSL, OpenSSH and others. Not those of NIST's PKITS.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_OF_STANDARDS: Final = {
    "b2b04340cfaee616ec9c2c62d261b208e54bb197498df52e8cadede23ac0ba5e": "RFC 9500 §2.3",
    "c4c10105a0be0ed4dd3354428dc38a9bfee64da141ce16e75c94eda272f9dd3a": "RFC 9500 §2.3",
    "5a7a78cca4a0f420d9bc62bb669c3c2759e39f723d3ae10dcbe0f0815a07ecd4": "RFC 6979 appendix A.2.5",
    "2f95601fa82060b909bfc6b979dbd303d34d34e0afb27ea496beac362f242a4b": "RFC 6979 appendix A.2.6",
    "2bd1bb0c44a897c30a7aa0991cde38d8062fe441de50da0f46825344f602e827": "RFC 7515 appendix A.3",
    "51b944cdfa544d4c3273aa6bf350625a7dd53bbb6a71723274f538b19a207760": "RFC 7517 appendix A.2",
    "06e3fd8fda29bb60ab59557de61edb0aecdb231134be30e75b455f8e1b792fa9": "RFC 8032 §7.1 and RFC 8037 appendix A",
    "deb2ded39dc26fce0e6085b6fc34bf6b5941913bbfe2ea614113cff9e004c170": "RFC 8032 §7.1",
    "8d39ba50abe50f77b6bb8ae7b6927aff7ffbeba35ad2837c0e51e82bcbcc60d5": "RFC 8032 §7.1",
    "a1e9156054e04fac899ae9f275132cdc07a5dbc4ea2c2ad3a1ffc6e0d253681f": "RFC 8410 §10.3",
    "837832708c5236d951581f1fddf2b79991b3424a0486d16da1ddad0fd69701be": "RFC 9881 appendix C.1",
    "b8b62131bfbe84433efb2273d7f5b87f7a22854a2cfd366fc2aead86d837c52d": "RFC 9881 appendix C.1",
    "07e57c4f14dbad1267f621ec3777b4e2e6c4fbc4c22fbb87510ff8e0b3c6a642": "RFC 9881 appendix C.1",
    "8fb6bad671cfe698393c453357da61b56d757ab8c0f3fb9c87f2849e63131878": "RFC 9500 §2.1",
}
_OF_LIBRARIES: Final = (
    "3abb44c517bcb80b00e42fb6c474a24c347a15953e5845d3f0f1b4091ed9a6c3",
    "490dc84ed8f76f7471571b9ec704ca275fdc2640ed49b895979c7119be61761c",
    "ae41eb52fce7fae32553084fc49763b7fb39ef3efa5a11e329a15b6fc5cef363",
    "6499afd6cf753b33f911792880b61e02cfbb927c058cd8e34ecb340fc9fcbacb",
    "78d517f20171e0a93022e4e60217b4d26faf34d210108ab2f0b3e4e8bfba60bc",
    "f48e365d447e29bdd1c071fb318fd6e2141320b3cf66728b6ea49148f8f2b7e9",
    "667e6d8114125c86c1338af54eaf516243d6b1fb933e48a45a59d82ac3f9f94b",
    "51eb139008ff17e579b3b121bd9a2d49fd5ba28ad80eee3257618e4a1f41b74f",
    "95b4478284a6d7ceb35cbc7cda0ed723cf4325d56825e01291ff48a55144d16f",
    "100329507e34f1e936f54b7820b2f559eaabb4f01e0e2b5e84c57d44657564bd",
    "68453f37da0155b5077eb1c62d180b5083b2b834083546e54c821c05110dd541",
    "7da130ba5b03d172ad14512edb9fa866729b41fce34aa62e9721d4ab62d66c27",
    "8200a030dfd1fd70bf5ebdef77a7ae3ce3d999322e51871a63330546139c5adc",
    "153660c317dcd7874ffec2208d6b2a32ba7d3911e3e6550193fb55cba9eddcc1",
    "11a62d3ddc3a625c110d32bf889b2207e7cabd021ac95f1c8333b9db82a31e77",
    "2f57009da2ddd9bc611461715ecbe3b23ceff8783bc364f3f81f73e4e5680b74",
    "b0856183c6c590cee4db366c4100a4331b52d09cb16115ef21e81689ff376621",
    "5f88e21d4e16bcc4037e1090eed2236847bd44887961cdce2727bbbd2aba2823",
    "6c51c8539e9f3055855e70e06b2d4a7d7353eccddd83affebccc528289adb389",
    "d528e3e9c78b11e6014bd8219b6c719279974d541db197b37e7bb5a1f588a2d7",
    "c77e64782f65c8c717b59c324402cba2e192c37833abbd2cb9a478005349794b",
    "ed44792e85700ec7b303976284ca016edab5d4aa2e2c86cd0839accad5d1a66b",
    "99c7097b3cf6f67f038336dc3b45a1284356cd0236fc2d9ce88ce080c2a9ae2f",
)

PUBLISHED: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(_OF_LIBRARIES, "the test vectors of pyca/cryptography") | _OF_STANDARDS
)
"""Where the private key is found."""
