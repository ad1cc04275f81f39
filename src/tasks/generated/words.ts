/** Ordinary English words for texts that are generated in any tokenizer: 64 adjectives and 128 nouns, 8,192 pairs. */

const words = (list: string) => list.trim().split(/\s+/);

export const adjectives = words(`
  ancient amber bitter blue bold brave bright broken calm clever cold curious dark deep dry dusty early empty faint
  fast fine fresh gentle golden grand great green grey happy heavy hidden hollow honest humble large late little lonely
  long loud lucky narrow noble old open pale plain proud quick quiet rare red rough round sharp silent silver simple
  slow small smooth soft strange warm`);

export const nouns = words(`
  anchor apple arrow badge basket beach bell bird blanket boat bottle bridge brush bucket button camera candle carpet
  castle cave chain chair circle clock cloud coat coin corner cotton crown curtain desert diamond doctor door dragon dress
  drum eagle engine farmer feather fence field finger flag flame flower forest fountain fox garden gate ghost glass
  glove goat hammer harbor hill honey horse hotel island jacket kettle kitchen knife ladder lake lamp leaf letter lion
  market mirror monkey moon mountain mouse needle ocean orange oven paper pencil pepper piano pillow pilot planet
  pocket potato prince rabbit rain ribbon river rocket roof rope salt shadow sheep ship shirt shoe singer smoke snake
  soldier spider spoon square star stone storm sugar table teacher temple thunder ticket tiger tower train tree tunnel`);

export const colors = words('red blue green yellow black white purple orange brown pink');
