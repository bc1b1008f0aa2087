// What scripts of the theme and of the desk share; its shape is in docs/themes.md.
declare var readalong: any;
