// Google's own Node client against the stand-in: a second opinion, from another code base. It is given the
// folder with the packages, the address and a refresh token that is good, and says `ok`.

import { createRequire } from 'node:module';
import { join } from 'node:path';
import assert from 'node:assert/strict';

const [folder, url] = process.argv.slice(2);
const { sheets, auth } = createRequire(join(folder, 'index.js'))('@googleapis/sheets');

function client(refresh_token) {
  const user = new auth.OAuth2({
    clientId: 'client',
    clientSecret: 'secret',
    endpoints: { oauth2TokenUrl: `${url}/token` },
  });
  user.setCredentials({ refresh_token });
  return sheets({ version: 'v4', auth: user, rootUrl: `${url}/` }).spreadsheets;
}

const book = client('good');
const spreadsheetId = 'book-1';
const got = await book.values.batchGet({
  spreadsheetId,
  ranges: ["'Port Sheet'!A1:B2", "'Port Sheet'!C2:D2"],
  valueRenderOption: 'UNFORMATTED_VALUE',
});
assert.deepEqual(got.data.valueRanges[1].values, [[46023.5, 12]]);
const requestBody = { valueInputOption: 'RAW', data: [{ range: "'Port Sheet'!B2:B2", values: [['Larvik']] }] };
await book.values.batchUpdate({ spreadsheetId, requestBody });
const again = await book.values.get({ spreadsheetId, range: "'Port Sheet'!B2" });
assert.deepEqual(again.data.values, [['Larvik']]);
const about = await book.get({ spreadsheetId, fields: 'sheets.properties(sheetId,title)' });
assert.deepEqual(about.data.sheets.map((sheet) => sheet.properties.title), ['Notes', 'Port Sheet']);
await assert.rejects(client('dead').get({ spreadsheetId }), /invalid_grant/);
console.log('ok');
