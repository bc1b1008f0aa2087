
// Versions of a share come and go; its link stays. From a page of a version that is gone readers come to the share.
// A path that begins with two slashes would be the name of another host.
const link = /^((?!\/\/).*\/s\/[0-9a-f]{32}\/)[^/]+\//.exec(location.pathname);
if (link) location.replace(link[1] + location.hash);
