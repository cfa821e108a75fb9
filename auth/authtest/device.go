package authtest

import (
	"crypto/rand"
	"maps"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A device is a client that waits for its user, who is elsewhere.
type device struct {
	client   *Client
	grant    *grant
	userCode string
	expires  time.Time
	interval time.Duration // between two polls
	polled   time.Time     // zero: not yet
	polls    int
	decided  bool
	allowed  bool
}

// authorizeDevice serves the device authorization endpoint (RFC 8628 3.1).
func (s *Server) authorizeDevice(w http.ResponseWriter, r *Request, cfg *Config) {
	client, err := s.authenticate(r, cfg)
	if err != nil {
		err.write(w)
		return
	}
	g, err := cfg.grantFor(r.PostForm)
	if err == nil && !client.may(grantDevice) {
		err = refuse("unauthorized_client", "The client has not registered the grant type")
	}
	if err != nil {
		err.write(w)
		return
	}
	g.client = client.ID
	id, text := "secret-dc-"+rand.Text(), rand.Text()
	d := &device{client: client, grant: g, userCode: text[:4] + "-" + text[4:8], expires: time.Now().Add(consentTime), interval: cfg.DeviceInterval}
	if d.interval == 0 {
		d.interval = time.Second
	}
	s.mu.Lock()
	maps.DeleteFunc(s.devices, func(_ string, d *device) bool { return time.Now().After(d.expires) })
	s.devices[id] = d
	s.mu.Unlock()
	page := origin(r.Request) + pathUserCode
	writeJSON(w, http.StatusOK, cfg.Device.apply(map[string]any{
		"device_code":               id,
		"user_code":                 d.userCode,
		"verification_uri":          page,
		"verification_uri_complete": page + "?user_code=" + d.userCode,
		"expires_in":                int(consentTime.Seconds()),
		"interval":                  int(math.Ceil(d.interval.Seconds())),
	}))
}

// pollDevice answers a device that asks whether its user has decided (RFC 8628 3.5). The caller
// holds mu.
func (s *Server) pollDevice(c *Client, form url.Values, cfg *Config) (map[string]any, *oauthError) {
	d := s.devices[form.Get("device_code")]
	now := time.Now()
	switch {
	case d == nil || d.client.ID != c.ID:
		return nil, refuse("invalid_grant", "Unknown device code")
	case now.After(d.expires):
		return nil, refuse("expired_token", "The device code has expired")
	case !d.polled.IsZero() && now.Sub(d.polled) < d.interval*9/10: // the network isn't even
		d.polled = now
		d.interval += 5 * time.Second
		return nil, refuse("slow_down", "The interval is longer now by 5 seconds")
	}
	d.polled = now
	d.polls++
	switch {
	case !d.decided && cfg.AutoApprove && d.polls > cfg.DevicePolls:
	case !d.decided:
		return nil, refuse("authorization_pending", "The user has not decided yet")
	case !d.allowed:
		return nil, refuse("access_denied", "The user said no")
	}
	if err := cfg.checkResource(form, d.grant); err != nil {
		return nil, err
	}
	delete(s.devices, form.Get("device_code"))
	return s.issue(d.grant, d.grant.scope, c.may(grantRefresh), cfg), nil
}

// userCode serves the page that a device sends its user to (RFC 8628 3.3).
func (s *Server) userCode(w http.ResponseWriter, r *Request) {
	typed := strings.ToUpper(strings.TrimSpace(r.Form.Get("user_code")))
	s.mu.Lock()
	var found *device
	for _, d := range s.devices {
		if d.userCode == typed && !d.decided && time.Now().Before(d.expires) {
			found = d
		}
	}
	s.mu.Unlock()
	switch {
	case typed == "":
		writePage(w, http.StatusOK, "code", nil)
	case found == nil:
		s.problem(w, r, "invalid_request", "There is no such code, or not any more")
	default:
		s.ask(w, found.client, found.grant, "", found.userCode, func(w http.ResponseWriter, allow bool) {
			s.mu.Lock()
			found.decided, found.allowed = true, allow
			s.mu.Unlock()
			writePage(w, http.StatusOK, "done", allow)
		})
	}
}
