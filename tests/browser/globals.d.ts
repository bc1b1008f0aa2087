// What scripts of the theme and of the desk share; its shape is in docs/themes.md.
declare var readalong: any;
// What scripts of the desk share.
type Desk = Record<string, any> & { all: (selector: string, scope?: any) => any[], on: (name: string, run: (control: any) => any) => any };
declare var desk: Desk;
