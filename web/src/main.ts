import { Cost } from './cost.ts';
import { Loader } from './loader.ts';
import { Session } from './session.ts';
import { Writer } from './writer.ts';

const session = new Session();
const cost = new Cost();
const writer = new Writer(session, cost);
new Loader(session, {
  start: () => writer.wait(),
  loaded: (model) => {
    cost.show(model);
    writer.use(model);
  },
});
