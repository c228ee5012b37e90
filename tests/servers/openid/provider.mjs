// A certified OpenID provider: whoever comes types a name, which is the account's.
// The argument is JSON: {port, redirects, accessSeconds}. What it is asked for goes to stdout, a word a line.
import Provider from 'oidc-provider';

const {port, redirects, goodbyes, accessSeconds} = JSON.parse(process.argv.at(-1));

// The name says it all: `alice`, `alice+admins` (a group), `eve@evil.example` (another domain).
const account = (id) => {
  const [name, ...groups] = id.split('+');
  return {
    accountId: id,
    claims: () => ({
      sub: id,
      name,
      preferred_username: name.split('@')[0],
      email: name.includes('@') ? name : `${name}@mycompany.com`,
      email_verified: true,
      groups: ['staff', ...groups],
    }),
  };
};

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: 'app',
    client_secret: 'a secret for the tests',
    redirect_uris: redirects,
    post_logout_redirect_uris: goodbyes,
    backchannel_logout_uri: redirects[0].replace('/callback', '/backchannel_logout'),
    backchannel_logout_session_required: true,
    grant_types: ['authorization_code', 'refresh_token'],
  }],
  claims: {email: ['email', 'email_verified'], profile: ['name', 'preferred_username'], groups: ['groups']},
  scopes: ['openid', 'email', 'profile', 'groups', 'offline_access'],
  conformIdTokenClaims: false,
  pkce: {required: () => true},
  rotateRefreshToken: true,
  issueRefreshToken: async (_, client) => client.grantTypeAllowed('refresh_token'),
  ttl: {AccessToken: accessSeconds, IdToken: accessSeconds},
  features: {devInteractions: {enabled: true}, rpInitiatedLogout: {enabled: true}, backchannelLogout: {enabled: true}},
  // Its own way to fetch is for newer Nodes only.
  fetch: (url, {dispatcher, ...options}) => fetch(url, options),
  cookies: {keys: ['only for tests']},
  findAccount: (_, id) => account(id),
});

const say = (word) => process.stdout.write(`${word}\n`);
provider.on('grant.success', (ctx) => say(`granted ${ctx.oidc.params.grant_type}`));
provider.on('grant.error', (ctx, error) => say(`refused ${ctx.oidc.params?.grant_type} ${error.error_description}`));
provider.on('backchannel.error', (ctx, error) => say(`unheard ${error.message}`));
// Ends with whoever started it, however that one ends.
process.stdin.resume().on('end', () => process.exit());
provider.listen(port, '127.0.0.1', () => say('up'));
