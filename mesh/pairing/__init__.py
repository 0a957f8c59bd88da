"""How a machine gets its token: OAuth 2.0's device flow (RFC 8628) on ``allauth.idp.oidc``.

allauth checks clients, makes codes and tokens, and stores the tokens. Mesh adds the request as a
row with the machine's own facts (``services``), the limit on wrong codes (``guard``), refresh
tokens that a crash can't lose (``tokens``), and the pages (``views``).
"""
